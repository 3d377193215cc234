/* SPDX-License-Identifier: MIT */
/*
 * How exit.c describes an exit reason to exit_format.c: a row per reason, a descriptor per field.
 * Private to these two.
 */
#ifndef VMASSAY_EXIT_ROW_H
#define VMASSAY_EXIT_ROW_H

#include "exit.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum field_kind {
	HEX,
	DECIMAL,
	NAMED,		/* one of .names, else decimal */
	FLAGS,		/* bits of .names, the rest in hex */
	BYTES,		/* exit_io.bytes: a pointer, compared and printed by its contents */
};

struct value_name {
	uint64_t value;
	const char *name;	/* NULL ends a list */
};

struct field {
	const char *name;		/* as the UAPI header spells it */
	enum field_kind kind;
	const struct value_name *names;	/* NAMED and FLAGS */
	bool is_optional;		/* printed only when not zero */
	uint16_t offset;		/* in struct exit_record */
	uint16_t size;			/* bytes of one element */
	uint16_t nr;			/* elements; more than one is an array */
	uint16_t count_offset;		/* of the uint32_t that says how many are used; 0: all */
	uint16_t run_offset;		/* in struct kvm_run */
	uint16_t run_size;		/* bytes of one element; 0: only decode() sets it */
};

struct row {
	const char *name;
	const struct field *fields;
	size_t nr_fields;
	/* After the fields are copied, for what copying cannot do; or NULL. */
	void (*decode)(struct exit_record *record, const struct kvm_run *run);
	/* By the payload's .type; a type without fields is read as this row. */
	const struct row *variants;
	size_t nr_variants;
};

/* The row that lists the fields of @record, never NULL. Note, variants have no name. */
const struct row *exit_row_of(const struct exit_record *record);

/* The elements of @field that @record uses, never more than there are: a count may lie. */
unsigned int exit_field_nr(const struct field *field, const struct exit_record *record);

/* Element @i, zero extended. */
uint64_t exit_field_value(const struct field *field, const struct exit_record *record,
			  unsigned int i);

#endif
