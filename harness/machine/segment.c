/* SPDX-License-Identifier: MIT */
#include "machine/segment.h"

#include "machine/exec.h"

#define DESCRIPTOR_BYTES 8
#define V86_ATTRIB (SEG_P | SEG_S | 3u << SEG_DPL_SHIFT | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED)

bool is_paragraph_mode(const struct cpu *cpu)
{
	return !(cpu->cr0 & X86_CR0_PE) || (cpu->rflags & X86_EFLAGS_VM);
}

uint32_t selector_error(const struct cpu *cpu, uint16_t selector)
{
	return (selector & ~SELECTOR_RPL) | cpu->is_external;
}

_Noreturn void raise_selector(struct cpu *cpu, unsigned int vector, uint16_t selector)
{
	cpu_raise_error(cpu, vector, selector_error(cpu, selector));
}

/* A system descriptor of long mode has 16 bytes; an LDT or TSS, and a call gate. */
static bool is_wide(const struct cpu *cpu, uint64_t low)
{
	return (cpu->efer & EFER_LMA) && !(low >> 44 & 1);
}

bool descriptor_read_try(struct cpu *cpu, uint16_t selector, struct descriptor *descriptor)
{
	const struct segment *ldt = &cpu->segs[SEG_LDTR];
	uint64_t base = cpu->gdtr.base, limit = cpu->gdtr.limit, offset = selector & ~7u;

	if (selector & SELECTOR_TI) {
		if (!(ldt->attrib & SEG_P))
			return false;
		base = ldt->base;
		limit = ldt->limit;
	}
	if (offset + DESCRIPTOR_BYTES - 1 > limit)
		return false;
	descriptor->linear = (base + offset) & (cpu->efer & EFER_LMA ? ~0ull : 0xffffffff);
	descriptor->low = linear_read(cpu, descriptor->linear, 8, true);
	descriptor->high = 0;
	if (!is_wide(cpu, descriptor->low))
		return true;
	if (offset + 2 * DESCRIPTOR_BYTES - 1 > limit)
		return false;
	descriptor->high = linear_read(cpu, descriptor->linear + 8, 8, true);
	return true;
}

struct descriptor descriptor_read(struct cpu *cpu, uint16_t selector, unsigned int vector)
{
	struct descriptor descriptor;

	if (!descriptor_read_try(cpu, selector, &descriptor))
		raise_selector(cpu, vector, selector);
	return descriptor;
}

struct segment descriptor_segment(const struct descriptor *descriptor, uint16_t selector)
{
	uint64_t low = descriptor->low;
	struct segment segment = {
		.selector = selector,
		.attrib = (low >> 40 & 0xff) | (low >> 52 & 15) << 8,
		.limit = (low & 0xffff) | (low >> 32 & 0xf0000),
		.base = (low >> 16 & 0xffffff) | (low >> 56) << 24 | descriptor->high << 32,
	};

	if (segment.attrib & SEG_G)
		segment.limit = segment.limit << 12 | 0xfff;
	return segment;
}

void descriptor_set_type_bits(struct cpu *cpu, const struct descriptor *descriptor, unsigned int bits)
{
	uint64_t low = descriptor->low | (uint64_t)bits << 40;

	if (low != descriptor->low)
		linear_write(cpu, descriptor->linear + 5, 1, low >> 40 & 0xff, true);
}

void segment_load_paragraph(struct cpu *cpu, unsigned int seg, uint16_t selector)
{
	struct segment *segment = &cpu->segs[seg];

	segment->selector = selector;
	segment->base = (uint64_t)selector << 4;
	/* Real mode leaves limit and attributes as protected mode left them (APM vol. 2, 14.4.1: "unreal" mode). */
	if (cpu->rflags & X86_EFLAGS_VM) {
		segment->limit = 0xffff;
		segment->attrib = V86_ATTRIB;
	}
	cpu_mode_changed(cpu);
}

static void segment_set(struct cpu *cpu, unsigned int seg, const struct descriptor *descriptor, uint16_t selector)
{
	descriptor_set_type_bits(cpu, descriptor, SEG_TYPE_ACCESSED);
	cpu->segs[seg] = descriptor_segment(descriptor, selector);
	cpu->segs[seg].attrib |= SEG_TYPE_ACCESSED;
	cpu_mode_changed(cpu);
}

/* Base and limit stay, as on CPUs without NullSelectorClearsBase (APM vol. 3, CPUID Fn8000_0021_EAX). */
void segment_set_null(struct cpu *cpu, unsigned int seg, uint16_t selector)
{
	cpu->segs[seg].selector = selector;
	cpu->segs[seg].attrib = seg == SEG_SS ? (uint16_t)(cpu->cpl << SEG_DPL_SHIFT) : 0;
	cpu_mode_changed(cpu);
}

void segment_load_stack(struct cpu *cpu, uint16_t selector, unsigned int cpl, unsigned int vector)
{
	struct descriptor descriptor;
	struct segment segment;

	if (is_null_selector(selector))
		raise_selector(cpu, vector, vector == VECTOR_TS ? selector : 0);
	descriptor = descriptor_read(cpu, selector, vector);
	segment = descriptor_segment(&descriptor, selector);
	if ((selector & SELECTOR_RPL) != cpl || segment_dpl(&segment) != cpl || !(segment.attrib & SEG_S) ||
	    is_code_segment(&segment) || !(segment.attrib & SEG_TYPE_WRITABLE))
		raise_selector(cpu, vector, selector);
	if (!(segment.attrib & SEG_P))
		raise_selector(cpu, VECTOR_SS, selector);
	segment_set(cpu, SEG_SS, &descriptor, selector);
}

void segment_load_data(struct cpu *cpu, unsigned int seg, uint16_t selector, unsigned int vector)
{
	struct descriptor descriptor = descriptor_read(cpu, selector, vector);
	struct segment segment = descriptor_segment(&descriptor, selector);
	unsigned int rpl = selector & SELECTOR_RPL;

	if (!(segment.attrib & SEG_S) || (is_code_segment(&segment) && !(segment.attrib & SEG_TYPE_WRITABLE)))
		raise_selector(cpu, vector, selector);
	if (!(is_code_segment(&segment) && is_conforming(&segment)) &&
	    (rpl > segment_dpl(&segment) || cpu->cpl > segment_dpl(&segment)))
		raise_selector(cpu, vector, selector);
	if (!(segment.attrib & SEG_P))
		raise_selector(cpu, VECTOR_NP, selector);
	segment_set(cpu, seg, &descriptor, selector);
}

void segment_load(struct cpu *cpu, unsigned int seg, uint16_t selector)
{
	if (is_paragraph_mode(cpu))
		segment_load_paragraph(cpu, seg, selector);
	else if (seg != SEG_SS && is_null_selector(selector))
		segment_set_null(cpu, seg, selector);
	else if (seg != SEG_SS)
		segment_load_data(cpu, seg, selector, VECTOR_GP);
	else if (is_null_selector(selector) && cpu->is_long64 && cpu->cpl < 3 && selector == cpu->cpl)
		segment_set_null(cpu, seg, selector);
	else
		segment_load_stack(cpu, selector, cpu->cpl, VECTOR_GP);
}

void segment_load_code(struct cpu *cpu, const struct descriptor *descriptor, uint16_t selector, unsigned int cpl)
{
	struct segment segment = descriptor_segment(descriptor, selector);

	if ((cpu->efer & EFER_LMA) && (segment.attrib & SEG_L) && (segment.attrib & SEG_DB))
		raise_selector(cpu, VECTOR_GP, selector);
	if (!(segment.attrib & SEG_P))
		raise_selector(cpu, VECTOR_NP, selector);
	cpu->cpl = (uint8_t)cpl;
	segment_set(cpu, SEG_CS, descriptor, (uint16_t)((selector & ~SELECTOR_RPL) | cpl));
}

void segment_load_ldt(struct cpu *cpu, uint16_t selector, unsigned int vector)
{
	struct descriptor descriptor;
	struct segment segment;

	if (is_null_selector(selector)) {
		cpu->segs[SEG_LDTR].selector = selector;
		cpu->segs[SEG_LDTR].attrib = 0;
		return;
	}
	if (selector & SELECTOR_TI)
		raise_selector(cpu, vector, selector);
	descriptor = descriptor_read(cpu, selector, vector);
	segment = descriptor_segment(&descriptor, selector);
	if ((segment.attrib & (SEG_S | SEG_TYPE)) != TYPE_LDT)
		raise_selector(cpu, vector, selector);
	if (!(segment.attrib & SEG_P))
		raise_selector(cpu, vector == VECTOR_TS ? VECTOR_TS : VECTOR_NP, selector);
	cpu->segs[SEG_LDTR] = segment;
}

void segment_load_tr(struct cpu *cpu, uint16_t selector)
{
	struct descriptor descriptor;
	struct segment segment;
	unsigned int type;

	if (is_null_selector(selector))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	if (selector & SELECTOR_TI)
		raise_selector(cpu, VECTOR_GP, selector);
	descriptor = descriptor_read(cpu, selector, VECTOR_GP);
	segment = descriptor_segment(&descriptor, selector);
	type = segment.attrib & (SEG_S | SEG_TYPE);
	if (type != TYPE_TSS && (type != TYPE_TSS16 || (cpu->efer & EFER_LMA)))
		raise_selector(cpu, VECTOR_GP, selector);
	if (!(segment.attrib & SEG_P))
		raise_selector(cpu, VECTOR_NP, selector);
	descriptor_set_type_bits(cpu, &descriptor, 2);
	segment.attrib |= 2;
	cpu->segs[SEG_TR] = segment;
}

void segments_drop_privileged(struct cpu *cpu)
{
	static const uint8_t data_segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	unsigned int i;

	for (i = 0; i < sizeof(data_segs); i++) {
		const struct segment *segment = &cpu->segs[data_segs[i]];
		bool is_open = is_code_segment(segment) && is_conforming(segment);

		if (segment->attrib && !is_open && segment_dpl(segment) < cpu->cpl)
			segment_set_null(cpu, data_segs[i], 0);
	}
}

static uint64_t tss_read(struct cpu *cpu, uint64_t offset, unsigned int size)
{
	const struct segment *tr = &cpu->segs[SEG_TR];

	if (offset + size - 1 > tr->limit)
		raise_selector(cpu, VECTOR_TS, tr->selector);
	return linear_read(cpu, tr->base + offset, size, true);
}

/* Slots of the 64-bit TSS: RSP0 to RSP2, a reserved one, IST1 to IST7. */
uint64_t tss_read_rsp(struct cpu *cpu, unsigned int slot)
{
	uint64_t rsp = tss_read(cpu, 4 + 8ull * slot, 8);

	if (!is_canonical(cpu, rsp))
		cpu_raise_error(cpu, VECTOR_SS, cpu->is_external);
	return rsp;
}

void tss_read_stack(struct cpu *cpu, unsigned int cpl, uint16_t *ret_ss, uint64_t *ret_rsp)
{
	bool is_32bit = cpu->segs[SEG_TR].attrib & 8;
	unsigned int size = is_32bit ? 4 : 2;
	uint64_t offset = (1 + 2ull * cpl) * size;

	*ret_rsp = tss_read(cpu, offset, size);
	*ret_ss = (uint16_t)tss_read(cpu, offset + size, 2);
}
