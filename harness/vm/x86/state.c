/* SPDX-License-Identifier: MIT */
#include "vm/x86/state.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct field {
	const char *name;
	unsigned int offset;
	unsigned int bytes;
};

#define FIELD(struct_, member_)								\
	{ #member_, offsetof(struct_, member_), sizeof(((struct_ *)NULL)->member_) }
#define NR_FIELDS(table_) (sizeof(table_) / sizeof((table_)[0]))

#define REG(member_) FIELD(struct kvm_regs, member_)
static const struct field regs_fields[] = {
	REG(rax), REG(rbx), REG(rcx), REG(rdx), REG(rsi), REG(rdi), REG(rsp), REG(rbp), REG(r8), REG(r9), REG(r10),
	REG(r11), REG(r12), REG(r13), REG(r14), REG(r15), REG(rip), REG(rflags),
};

#define SREG(member_) FIELD(struct kvm_sregs, member_)
#define SEGMENT(name_)									\
	SREG(name_.selector), SREG(name_.base), SREG(name_.limit), SREG(name_.type), SREG(name_.present),	\
	SREG(name_.dpl), SREG(name_.db), SREG(name_.s), SREG(name_.l), SREG(name_.g), SREG(name_.avl),		\
	SREG(name_.unusable)
static const struct field sregs_fields[] = {
	SEGMENT(cs), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs), SEGMENT(ss), SEGMENT(tr), SEGMENT(ldt),
	SREG(gdt.base), SREG(gdt.limit), SREG(idt.base), SREG(idt.limit), SREG(cr0), SREG(cr2), SREG(cr3), SREG(cr4),
	SREG(cr8), SREG(efer), SREG(apic_base), SREG(interrupt_bitmap[0]), SREG(interrupt_bitmap[1]),
	SREG(interrupt_bitmap[2]), SREG(interrupt_bitmap[3]),
};

static uint64_t field_value(const struct field *field, const void *object)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)object + field->offset, field->bytes);
	return value;
}

/* Appends at *@used, which may pass the end: nothing is written then. */
static void append(char *buf, size_t len_bytes, size_t *used, const char *text)
{
	if (*used < len_bytes)
		snprintf(buf + *used, len_bytes - *used, "%s", text);
	*used += strlen(text);
}

static bool fields_equal(const struct field *table, size_t nr, const void *want, const void *got, char *fields,
			 char *want_buf, char *got_buf, size_t len_bytes)
{
	size_t i, used = 0, column = 0;
	char text[64];

	fields[0] = want_buf[0] = got_buf[0] = '\0';
	for (i = 0; i < nr; i++) {
		uint64_t w = field_value(&table[i], want), g = field_value(&table[i], got);
		size_t same_column = column;

		if (w == g)
			continue;
		if (used)
			append(fields, len_bytes, &used, ",");
		append(fields, len_bytes, &used, table[i].name);
		snprintf(text, sizeof(text), "%s=%-#18" PRIx64 " ", table[i].name, w);
		append(want_buf, len_bytes, &column, text);
		snprintf(text, sizeof(text), "%s=%-#18" PRIx64 " ", table[i].name, g);
		append(got_buf, len_bytes, &same_column, text);
	}
	return used == 0;
}

bool regs_equal(const struct kvm_regs *want, const struct kvm_regs *got, char *fields, char *want_buf,
		char *got_buf, size_t len_bytes)
{
	return fields_equal(regs_fields, NR_FIELDS(regs_fields), want, got, fields, want_buf, got_buf, len_bytes);
}

bool sregs_equal(const struct kvm_sregs *want, const struct kvm_sregs *got, char *fields, char *want_buf,
		 char *got_buf, size_t len_bytes)
{
	return fields_equal(sregs_fields, NR_FIELDS(sregs_fields), want, got, fields, want_buf, got_buf, len_bytes);
}

int regs_format(char *buf, size_t len_bytes, const struct kvm_regs *regs)
{
	size_t i, used = 0;
	char text[64];

	for (i = 0; i < NR_FIELDS(regs_fields); i++) {
		snprintf(text, sizeof(text), "%-6s %016" PRIx64 "%s", regs_fields[i].name,
			 field_value(&regs_fields[i], regs), i % 4 == 3 || i == NR_FIELDS(regs_fields) - 1 ? "\n" : "  ");
		append(buf, len_bytes, &used, text);
	}
	return used;
}

static void segment_append(char *buf, size_t len_bytes, size_t *used, const char *name, const struct kvm_segment *s)
{
	char text[128];

	snprintf(text, sizeof(text), "%-4s %04x base %016llx limit %08x type %x dpl %u%s%s%s%s%s%s\n", name,
		 s->selector, s->base, s->limit, s->type, s->dpl, s->present ? " present" : "", s->s ? " s" : "",
		 s->db ? " db" : "", s->l ? " l" : "", s->g ? " g" : "", s->unusable ? " unusable" : "");
	append(buf, len_bytes, used, text);
}

int sregs_format(char *buf, size_t len_bytes, const struct kvm_sregs *sregs)
{
	size_t used = 0;
	char text[256];

	segment_append(buf, len_bytes, &used, "cs", &sregs->cs);
	segment_append(buf, len_bytes, &used, "ss", &sregs->ss);
	segment_append(buf, len_bytes, &used, "ds", &sregs->ds);
	segment_append(buf, len_bytes, &used, "es", &sregs->es);
	segment_append(buf, len_bytes, &used, "fs", &sregs->fs);
	segment_append(buf, len_bytes, &used, "gs", &sregs->gs);
	segment_append(buf, len_bytes, &used, "tr", &sregs->tr);
	segment_append(buf, len_bytes, &used, "ldt", &sregs->ldt);
	snprintf(text, sizeof(text), "gdt  base %016llx limit %04x  idt base %016llx limit %04x\n", sregs->gdt.base,
		 sregs->gdt.limit, sregs->idt.base, sregs->idt.limit);
	append(buf, len_bytes, &used, text);
	snprintf(text, sizeof(text),
		 "cr0 %llx cr2 %llx cr3 %llx cr4 %llx cr8 %llx efer %llx apic_base %llx\n", sregs->cr0, sregs->cr2,
		 sregs->cr3, sregs->cr4, sregs->cr8, sregs->efer, sregs->apic_base);
	append(buf, len_bytes, &used, text);
	return used;
}

int events_format(char *buf, size_t len_bytes, const struct kvm_vcpu_events *events)
{
	return snprintf(buf, len_bytes,
			"exception injected %u pending %u nr %u error_code %s%x  "
			"interrupt injected %u nr %u soft %u shadow %u  "
			"nmi injected %u pending %u masked %u  smm %u\n",
			events->exception.injected, events->exception.pending, events->exception.nr,
			events->exception.has_error_code ? "0x" : "none ", events->exception.error_code,
			events->interrupt.injected, events->interrupt.nr, events->interrupt.soft,
			events->interrupt.shadow, events->nmi.injected, events->nmi.pending, events->nmi.masked,
			events->smi.smm);
}
