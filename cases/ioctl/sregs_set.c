/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_SREGS changes each field by itself: what was set is read back, and no other field, and no general register,
 * changes with it.
 *
 * Values keep to what all vendors' formats can hold: G goes with the limit, types are accessed, SS.DPL is 0.
 *
 * Can break: a field left out of set or get, two segments exchanged, attributes packed wrongly, limits scaled by G,
 * high halves of bases lost, a table's base and limit exchanged.
 * Source: KVM API, 4.13 and 4.14 (KVM_GET_SREGS, KVM_SET_SREGS).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define SEGMENT(base_, limit_, selector_, type_, dpl_, db_, s_, avl_)			\
	{ .base = base_, .limit = limit_, .selector = selector_, .type = type_, .present = 1, .dpl = dpl_,	\
	  .db = db_, .s = s_, .g = (limit_) > 0xfffff, .avl = avl_ }

static const struct kvm_segment datas[] = {
	SEGMENT(0x123456789abcdef0, 0xfffff, 0xabc8, 0x3, 0, 0, 1, 1),
	SEGMENT(0xffffffff80000000, 0xffffffff, 0x0010, 0x7, 0, 1, 1, 0),
	SEGMENT(0x00000000deadb000, 0x0, 0xfff8, 0x3, 0, 0, 1, 0),
	SEGMENT(0, 0x12345fff, 0x1, 0x3, 0, 1, 1, 0),
};

static const struct kvm_segment codes[] = {
	SEGMENT(0x00000000fedcb000, 0xfffff, 0xf008, 0xb, 0, 0, 1, 1),
	SEGMENT(0, 0xffffffff, 0x0018, 0xf, 0, 1, 1, 0),
	SEGMENT(0xffff0000, 0x1, 0x0020, 0x9, 0, 0, 1, 0),
};

static const struct kvm_segment systems[] = {
	SEGMENT(0xffff888012345000, 0x67, 0x0040, 0xb, 0, 0, 0, 0),
	SEGMENT(0x00000000fedcb000, 0xfffff, 0xfff8, 0xb, 0, 0, 0, 1),
};

static const struct kvm_segment ldts[] = {
	SEGMENT(0xffff888012345000, 0x67, 0x0040, 0x2, 0, 0, 0, 0),
	SEGMENT(0x00000000fedcb000, 0xfffff, 0xfff8, 0x2, 0, 0, 0, 1),
};

static const struct kvm_dtable tables[] = {
	{ .base = 0xffff888012345678, .limit = 0x1234 },
	{ .base = 0x9abcdef0, .limit = 0xffff },
	{ .base = 0, .limit = 0 },
};

static const uint64_t values[] = { 0x123456789abcdef0, ~0ull, 0x1000, 0 };
static const uint64_t cr8s[] = { 1, 5, 0xa, 0xf, 0 };
static const uint64_t cr3s[] = { 0x12345000, 0xff8, 0xfffff000, 0 };
static const uint64_t cr0s[] = {
	X86_CR0_ET, X86_CR0_ET | X86_CR0_PE, X86_CR0_ET | X86_CR0_MP, X86_CR0_ET | X86_CR0_EM,
	X86_CR0_ET | X86_CR0_TS, X86_CR0_ET | X86_CR0_NE, X86_CR0_ET | X86_CR0_WP, X86_CR0_ET | X86_CR0_AM,
	X86_CR0_ET | X86_CR0_CD, X86_CR0_ET | X86_CR0_CD | X86_CR0_NW,
};
static const uint64_t cr4s[] = {
	X86_CR4_TSD, X86_CR4_DE, X86_CR4_PSE, X86_CR4_PAE, X86_CR4_MCE, X86_CR4_PGE,
	X86_CR4_OSFXSR, X86_CR4_OSXMMEXCPT, 0,
};
static const uint64_t apic_bases[] = { 0xfee00900, 0xfee00100, 0xfee00800, 0xfed01900 };
static const uint64_t efers[] = { EFER_SCE, EFER_NX, EFER_LME, EFER_SCE | EFER_NX | EFER_LME, 0 };

#define FIELD(name_, table_) .offset = offsetof(struct kvm_sregs, name_), .table = table_,	\
	.nr = sizeof(table_) / sizeof((table_)[0]), .bytes = sizeof((table_)[0])

struct row {
	ROW_FIELDS;
	const void *table;
	size_t offset, nr, bytes;
};

static const struct row rows[] = {
	{ .label = "cs", FIELD(cs, codes) },
	{ .label = "ds", FIELD(ds, datas) },
	{ .label = "es", FIELD(es, datas) },
	{ .label = "fs", FIELD(fs, datas) },
	{ .label = "gs", FIELD(gs, datas) },
	{ .label = "ss", FIELD(ss, datas) },
	{ .label = "tr", FIELD(tr, systems) },
	{ .label = "ldt", FIELD(ldt, ldts) },
	{ .label = "gdt", FIELD(gdt, tables) },
	{ .label = "idt", FIELD(idt, tables) },
	{ .label = "cr0", FIELD(cr0, cr0s) },
	{ .label = "cr2", FIELD(cr2, values) },
	{ .label = "cr3", FIELD(cr3, cr3s) },
	{ .label = "cr4", FIELD(cr4, cr4s) },
	{ .label = "cr8", FIELD(cr8, cr8s) },
	{ .label = "efer", FIELD(efer, efers), .needs = "cpuid:nx cpuid:lm cpuid:syscall" },
	{ .label = "apic_base", FIELD(apic_base, apic_bases) },
};

CASE(sregs_set, .says = "each special register is set by itself and read back", .modes = NO_GUEST,
     .shadow_too = true, .rows = ROWS(rows))

HOST(sregs_set)
{
	const struct row *row = ROW(t, rows);
	struct vcpu_state state;
	struct kvm_sregs set;
	size_t i;

	vcpu_set_supported_cpuid(t->vcpu);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &set);
	set.cs.type |= 1;
	set.tr.type = 0xb;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &set);
	vcpu_state_get(t->vcpu, &state);
	expect_sregs(t, &set, &state.sregs);
	for (i = 0; i < row->nr; i++) {
		memcpy((uint8_t *)&state.sregs + row->offset, (const uint8_t *)row->table + i * row->bytes, row->bytes);
		vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &state.sregs);
		expect_vcpu_state(t, t->vcpu, &state);
	}
}
