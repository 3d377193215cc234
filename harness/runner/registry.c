/* SPDX-License-Identifier: MIT */
#include "runner/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "grow.h"

extern const struct case_desc *const __start_vmassay_cases[] __attribute__((weak));
extern const struct case_desc *const __stop_vmassay_cases[] __attribute__((weak));
extern const struct guest_image __start_vmassay_guests[] __attribute__((weak));
extern const struct guest_image __stop_vmassay_guests[] __attribute__((weak));

static unsigned int mode_width(unsigned int mode)
{
	if (mode == REAL16)
		return 16;
	return mode & PROTECTED ? 32 : 64;
}

const struct guest_image *guest_image_find(const char *file, unsigned int mode)
{
	const struct guest_image *image;

	for (image = __start_vmassay_guests; image < __stop_vmassay_guests; image++)
		if (image->width == mode_width(mode) && !strcmp(image->file, file))
			return image;
	return NULL;
}

const struct row_head *test_entry_row(const struct test_entry *entry)
{
	const struct case_desc *desc = entry->desc;

	if (!desc->rows)
		return NULL;
	return (const struct row_head *)((const char *)desc->rows + entry->row * desc->row_bytes);
}

const struct known *test_entry_known(const struct test_entry *entry)
{
	const struct row_head *row = test_entry_row(entry);

	if (row && row->known.finding)
		return &row->known;
	return entry->desc->known.finding ? &entry->desc->known : NULL;
}

void test_entry_needs(const struct test_entry *entry, char *buf, size_t len_bytes)
{
	const struct row_head *row = test_entry_row(entry);
	const char *of_case = entry->desc->needs, *of_row = row ? row->needs : NULL;

	snprintf(buf, len_bytes, "%s%s%s%s%s", of_case ? of_case : "", of_case && of_row ? " " : "",
		 of_row ? of_row : "", (of_case || of_row) && entry->mode == LA57 ? " " : "",
		 entry->mode == LA57 ? "cpuid:la57" : "");
}

/* --- building the table --- */

/* The folder that holds the file: "cases/mmu/x.c" -> "mmu". */
static char *area_of(const char *file)
{
	const char *slash = strrchr(file, '/'), *start;

	if (!slash)
		return strdup("none");
	for (start = slash; start > file && start[-1] != '/'; start--)
		;
	return strndup(start, slash - start);
}

static bool is_id_of_file(const struct case_desc *desc)
{
	const char *slash = strrchr(desc->file, '/'), *base = slash ? slash + 1 : desc->file;
	size_t len = strlen(desc->id);

	return !strncmp(base, desc->id, len) && !strcmp(base + len, ".c");
}

static int test_add(struct registry *registry, const struct case_desc *desc, unsigned int row, unsigned int mode,
		    const struct guest_image *image)
{
	struct test_entry *grown, *entry;
	const struct row_head *head;
	bool is_one_mode = !(desc->modes & (desc->modes - 1));

	grown = grow_by_one(registry->tests, registry->nr_tests, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	registry->tests = grown;
	entry = &grown[registry->nr_tests];
	*entry = (struct test_entry){
		.area = area_of(desc->file), .file = desc->file, .desc = desc, .row = row, .mode = mode,
		.image = image,
	};
	head = test_entry_row(entry);
	if (asprintf(&entry->name, "%s.%s%s%s%s%s", entry->area, desc->id, head ? "." : "", head ? head->label : "",
		     is_one_mode ? "" : ".", is_one_mode ? "" : mode_name(mode)) < 0)
		return -ENOMEM;
	registry->nr_tests++;
	return 0;
}

/* @images: of the case's file, by the number of the mode's bit. */
static int row_add(struct registry *registry, const struct case_desc *desc, unsigned int row, unsigned int modes,
		   const struct guest_image *const *images, struct err *err)
{
	unsigned int i;
	int r;

	if (modes == NO_GUEST)
		return test_add(registry, desc, row, NO_GUEST, NULL);
	for (i = 0; i < NR_MODES; i++) {
		if (!(modes & 1u << i))
			continue;
		if (!images[i])
			return err_set(err, ENOENT, "%s: no guest image for mode %s", desc->file,
				       mode_name(1u << i));
		r = test_add(registry, desc, row, 1u << i, images[i]);
		if (r)
			return r;
	}
	return 0;
}

/* A range without ".." would stand for every kernel. */
static bool is_range(const char *kernels)
{
	return !kernels || strstr(kernels, "..");
}

/* The first of the list whose range is none; NULL when all are well formed. */
static const struct known *bad_range(const struct known *known)
{
	while (known && is_range(known->kernels))
		known = known->next;
	return known;
}

static int check_desc(const struct case_desc *desc, struct err *err)
{
	const struct known *bad = bad_range(&desc->known);

	if (!is_id_of_file(desc))
		return err_set(err, EINVAL, "%s: the case's id '%s' is not the file's name", desc->file,
			       desc->id);
	if (!desc->says)
		return err_set(err, EINVAL, "%s: the case says nothing (.says)", desc->file);
	if (desc->rows && !desc->nr_rows)
		return err_set(err, EINVAL, "%s: a table without rows", desc->file);
	if (desc->modes != NO_GUEST && desc->nr_vcpus > ABI_MAX_VCPUS)
		return err_set(err, EINVAL, "%s: a guest has at most %d vCPUs", desc->file,
			       ABI_MAX_VCPUS);
	if (bad)
		return err_set(err, EINVAL, "%s: '%s' is no range of kernels (\"5.10..6.6\")", desc->file,
			       bad->kernels);
	return 0;
}

static int check_row(const struct case_desc *desc, unsigned int row, const struct row_head *head, struct err *err)
{
	const struct known *bad = bad_range(&head->known);

	if (!head->label)
		return err_set(err, EINVAL, "%s: row %u has no label", desc->file, row);
	/* Note, no mode at all would make it a test without a guest. */
	if (head->modes && !(head->modes & desc->modes))
		return err_set(err, EINVAL, "%s: row %s has none of the case's modes", desc->file,
			       head->label);
	if (bad)
		return err_set(err, EINVAL, "%s: row %s: '%s' is no range of kernels (\"5.10..6.6\")",
			       desc->file, head->label, bad->kernels);
	return 0;
}

static int case_add(struct registry *registry, const struct case_desc *desc, struct err *err)
{
	const struct guest_image *images[NR_MODES];
	unsigned int row, i;
	int r = check_desc(desc, err);

	if (r)
		return r;
	for (i = 0; i < NR_MODES; i++)
		images[i] = desc->modes & 1u << i ? guest_image_find(desc->file, 1u << i) : NULL;
	if (!desc->rows)
		return row_add(registry, desc, 0, desc->modes, images, err);
	for (row = 0; row < desc->nr_rows; row++) {
		const struct row_head *head = (const struct row_head *)
			((const char *)desc->rows + row * desc->row_bytes);

		r = check_row(desc, row, head, err);
		if (r)
			return r;
		r = row_add(registry, desc, row, head->modes ? head->modes & desc->modes : desc->modes, images, err);
		if (r)
			return r;
	}
	return 0;
}

static int compare_names(const void *one, const void *other)
{
	const struct test_entry *a = one, *b = other;

	return strcmp(a->name, b->name);
}

int registry_open_cases(struct registry *registry, const struct case_desc *const *cases, size_t nr_cases,
			struct err *err)
{
	size_t i;
	int r;

	*registry = (struct registry){ 0 };
	for (i = 0; i < nr_cases; i++) {
		r = case_add(registry, cases[i], err);
		if (r)
			goto err_close;
	}
	if (!registry->nr_tests) {
		r = err_set(err, ENOENT, "this program holds no case");
		goto err_close;
	}
	qsort(registry->tests, registry->nr_tests, sizeof(registry->tests[0]), compare_names);
	for (i = 1; i < registry->nr_tests; i++) {
		if (strcmp(registry->tests[i - 1].name, registry->tests[i].name))
			continue;
		r = err_set(err, EEXIST, "two tests have the name %s", registry->tests[i].name);
		goto err_close;
	}
	return 0;

err_close:
	registry_close(registry);
	return r;
}

int registry_open(struct registry *registry, struct err *err)
{
	return registry_open_cases(registry, __start_vmassay_cases, __stop_vmassay_cases - __start_vmassay_cases, err);
}

void registry_close(struct registry *registry)
{
	size_t i;

	for (i = 0; i < registry->nr_tests; i++) {
		free(registry->tests[i].name);
		free(registry->tests[i].area);
	}
	free(registry->tests);
	*registry = (struct registry){ 0 };
}

static int compare_entry_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct test_entry *)entry)->name);
}

const struct test_entry *registry_find(const struct registry *registry, const char *name)
{
	return bsearch(name, registry->tests, registry->nr_tests, sizeof(*registry->tests), compare_entry_name);
}

const struct test_entry *registry_canary(const struct registry *registry)
{
	size_t i;

	for (i = 0; i < registry->nr_tests; i++)
		if (registry->tests[i].desc->is_canary)
			return &registry->tests[i];
	return NULL;
}
