/* SPDX-License-Identifier: MIT */
/* What a report must say about the machine for a result to mean something later. */
#include <dirent.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "runner/runner.h"
#include "vm/caps.h"
#include "vm/vm.h"
#include "vm/x86/vendor.h"

static void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

/* The first line "KEY : VALUE" of /proc/cpuinfo. */
static void add_cpuinfo(struct json_object *facts, const char *key, const char *name)
{
	char line[4096], *colon;
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) || !(colon = strchr(line, ':')))
			continue;
		line[strcspn(line, "\n")] = '\0';
		add_string(facts, name, colon[1] ? colon + 2 : "");
		break;
	}
	if (file)
		fclose(file);
}

static void add_parameters(struct json_object *parameters, const char *module)
{
	struct json_object *object;
	char path[512], value[256];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters", module);
	dir = opendir(path);
	if (!dir)
		return;
	object = json_object_new_object();
	while ((entry = readdir(dir))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, entry->d_name);
		file = fopen(path, "re");
		if (file && fgets(value, sizeof(value), file)) {
			value[strcspn(value, "\n")] = '\0';
			add_string(object, entry->d_name, value);
		}
		if (file)
			fclose(file);
	}
	closedir(dir);
	json_object_object_add(parameters, module, object);
}

static void add_caps(struct json_object *facts, const struct backend *backend)
{
	struct json_object *object = json_object_new_object();
	struct sys sys;
	size_t i;

	json_object_object_add(facts, "caps", object);
	if (sys_open(&sys, backend, NULL, NULL))
		return;
	for (i = 0; i < nr_caps; i++) {
		long value = sys_has_cap(&sys, caps[i].number);

		if (value)
			json_object_object_add(object, caps[i].name, json_object_new_int64(value));
	}
	sys_close(&sys);
}

struct json_object *facts_read(const struct backend *backend, const char *target)
{
	struct json_object *facts = json_object_new_object(), *parameters = json_object_new_object();
	struct utsname uts;
	char now[64];
	time_t seconds = time(NULL);

	uname(&uts);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
	add_string(facts, "vmassay", VMASSAY_VERSION);
	add_string(facts, "target", target);
	add_string(facts, "time", now);
	add_cpuinfo(facts, "model name", "cpu");
	add_cpuinfo(facts, "microcode", "microcode");
	add_string(facts, "kernel", uts.release);
	add_string(facts, "kernel_version", uts.version);
	add_string(facts, "machine", uts.machine);
	add_string(facts, "kvm", vendor_of(backend));
	json_object_object_add(facts, "nr_cpus", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
	if (!backend->module) {
		add_parameters(parameters, "kvm");
		add_parameters(parameters, vendor_of(backend));
	}
	json_object_object_add(facts, "parameters", parameters);
	add_caps(facts, backend);
	return facts;
}
