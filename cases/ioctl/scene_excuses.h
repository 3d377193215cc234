/* SPDX-License-Identifier: MIT */
/*
 * What KVM, and the CPUs that a lab emulates, are known to do otherwise than the machine in a scene (differ/scene.h): a
 * row for each way, with the finding that tells who is wrong.
 */
#ifndef VMASSAY_CASES_SCENE_EXCUSES_H
#define VMASSAY_CASES_SCENE_EXCUSES_H

#include <string.h>

#include "case.h"
#include "differ/scene.h"

#define EXCUSE_NR_COUNTERS 6	/* that KVM gives to RDPMC; the machine has none */
#define DR7_GD (1u << 13)

enum { EXCUSE_ANY, EXCUSE_SAME = 0x100 };	/* of vectors; the same: in @met, as wanted. #DE is never asked for */

struct scene_excuse {
	const char *finding;
	const char *names;	/* of the scenes' forms: "CALL|JMP"; NULL: any */
	uint16_t wanted, met;	/* the vector by the machine, and the other one */
	/* NULL: always */
	bool (*holds)(const struct scene *scene, const struct scene_outcome *want);
};

static bool excuse_names(const struct scene_excuse *excuse, const char *name)
{
	const char *at = excuse->names;
	size_t len = strlen(name);

	for (; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (!strncmp(at, name, len) && (at[len] == '|' || !at[len]))
			return true;
	return !excuse->names;
}

static bool excuse_holds(const struct scene_excuse *excuse, const struct scene *scene, const struct scene_outcome *want,
			 const struct scene_outcome *got)
{
	unsigned int wanted = scene_vector(want), met = scene_vector(got);

	if (excuse->wanted != EXCUSE_ANY && excuse->wanted != wanted)
		return false;
	if (excuse->met != EXCUSE_ANY && (excuse->met == EXCUSE_SAME ? wanted : excuse->met) != met)
		return false;
	return excuse_names(excuse, scene->name) && (!excuse->holds || excuse->holds(scene, want));
}

/* The first of a table's @nr rows that excuses a difference; NULL: there is none. */
static const struct scene_excuse *excuse_find(const struct scene_excuse *table, size_t nr, const struct scene *scene,
					      const struct scene_outcome *want, const struct scene_outcome *got)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (excuse_holds(&table[i], scene, want, got))
			return &table[i];
	return NULL;
}

/* --- what a scene is --- */

static bool is_64bit(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene->mode == SCENE_LONG64;
}

static bool is_long(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene->mode >= SCENE_COMPAT16;
}

static bool is_user(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene->cpl;
}

static bool has_address(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene->has_address;
}

static bool has_lock(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene->has_lock;
}

static bool has_rex_w(const struct scene *scene, const struct scene_outcome *want)
{
	return is_64bit(scene, want) && memchr(scene->code, 0x48, scene->len);
}

static bool has_narrow_operand(const struct scene *scene, const struct scene_outcome *want)
{
	return is_64bit(scene, want) && !has_rex_w(scene, want) && memchr(scene->code, 0x66, 3);
}

static bool has_general_detect(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene->dr7 & DR7_GD;
}

/* The last two bytes of the instruction: opcode and ModRM of those that have no more. */
static const uint8_t *scene_tail(const struct scene *scene)
{
	return scene->code + scene->len - 2;
}

/* --- MOV CR --- */

static unsigned int moved_cr(const struct scene *scene)
{
	return scene_tail(scene)[1] >> 3 & 7;
}

/* The register that a MOV of a control register is from or to. */
static uint64_t moved_value(const struct scene *scene)
{
	const uint8_t *tail = scene_tail(scene);
	const __u64 *const regs[] = { &scene->regs.rax, &scene->regs.rcx, &scene->regs.rdx, &scene->regs.rbx, &scene->regs.rsp,
		&scene->regs.rbp, &scene->regs.rsi, &scene->regs.rdi, &scene->regs.r8, &scene->regs.r9, &scene->regs.r10,
		&scene->regs.r11, &scene->regs.r12, &scene->regs.r13, &scene->regs.r14, &scene->regs.r15 };
	bool has_rex_b = scene->mode == SCENE_LONG64 && scene->len > 3 && (tail[-2] & 0xf1) == 0x41;

	return *regs[(tail[1] & 7) + 8 * has_rex_b];
}

/* To CR0, CR3 or CR4, 64 bits whose upper half is not zero. */
static bool moves_upper_half(const struct scene *scene, const struct scene_outcome *want)
{
	return is_64bit(scene, want) && scene_tail(scene)[0] == 0x22 && moved_value(scene) >> 32;
}

static bool moves_upper_half_not_to_cr3(const struct scene *scene, const struct scene_outcome *want)
{
	return moves_upper_half(scene, want) && moved_cr(scene) != 3;
}

static bool loads_pdptes(const struct scene *scene, const struct scene_outcome *want)
{
	return !is_long(scene, want) && (scene->sregs.cr4 | want->sregs.cr4) & X86_CR4_PAE && moved_cr(scene) != 2;
}

static bool changes_paging(const struct scene *scene, const struct scene_outcome *want)
{
	return (want->sregs.cr0 ^ scene->sregs.cr0) & X86_CR0_PG;
}

static bool reads_cr2(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene_tail(scene)[0] == 0x20 && moved_cr(scene) == 2;
}

/* --- MSRs and counters --- */

static bool reads_counter(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return (uint32_t)scene->regs.rcx << 2 >> 2 < EXCUSE_NR_COUNTERS;
}

static bool reads_vmware_counter(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return (uint32_t)scene->regs.rcx - 0x10000 < 3;
}

static bool sets_lmsle(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return (uint32_t)scene->regs.rcx == MSR_EFER && scene->regs.rax & EFER_LMSLE;
}

static bool has_wide_msr_number(const struct scene *scene, const struct scene_outcome *want)
{
	(void)want;
	return scene->regs.rcx >> 32 && (uint32_t)scene->regs.rcx < 0x2000;
}

/* --- transfers --- */

/* CALL or JMP by a register or memory that a stack has: data is executed, that of a stack, or any. */
static bool branches_by_stack(const struct scene *scene, const struct scene_outcome *want)
{
	const uint8_t *tail = scene_tail(scene);

	(void)want;
	return tail[0] == 0xff && (tail[1] & 0xc7) == 0xc4;
}

static bool frees_negative_bytes(const struct scene *scene, const struct scene_outcome *want)
{
	const uint8_t *tail = scene_tail(scene);

	(void)want;
	return tail[-1] == 0xca && tail[1] & 0x80;
}

/* Beyond the commit, where it cannot go back. */
static bool switched_tasks(const struct scene *scene, const struct scene_outcome *want)
{
	return want->sregs.cr0 & ~scene->sregs.cr0 & X86_CR0_TS;
}

/* What the stack is after a task switch that could not load it, no manual says. */
static bool is_without_stack(const struct scene *scene, const struct scene_outcome *want)
{
	return want->end == WORLD_SHUT_DOWN && scene->has_address;
}

static bool has_long_stack(const struct scene *scene, const struct scene_outcome *want)
{
	(void)scene;
	return want->sregs.ss.l;
}

/* --- the tables --- */

#define FAR "JMP far|CALL far|LxS"
#define STACKS "CALL far|RET far|IRET|INT"
#define BRANCHES "CALL|JMP|RET|CALL far|JMP far|RET far|IRET"

static const struct scene_excuse kvm_excuses[] = {
	{ "0302", "MOV CR", .holds = moves_upper_half_not_to_cr3 },
	{ "0703 4702", "INS", .wanted = PF_VECTOR },
	{ "3700", "MOV CR", .holds = loads_pdptes },
	{ "4700", "RDPMC", .holds = reads_counter },
	{ "4701", "RDPMC", .holds = reads_vmware_counter },
	{ "3700", "WRMSR", .holds = sets_lmsle },
	{ "3700", "VMRUN", .holds = is_user },
	{ "3700", "SYSENTER|SYSEXIT", .holds = is_long },
};

static const struct scene_excuse tcg_excuses[] = {
	{ "3701", "ICEBP|SYSCALL|SYSRET|EMMS" },
	{ "1110", NULL, .wanted = AC_VECTOR },
	/* What is at the end of a branch, and what stacks are used. */
	{ "3701", "CALL|JMP", .holds = branches_by_stack },
	{ "3701", BRANCHES, .wanted = UD_VECTOR },
	{ "3701", "RET far", .holds = frees_negative_bytes },
	{ "3701", STACKS, .wanted = PF_VECTOR },
	{ "3701", STACKS, .met = PF_VECTOR },
	{ "3701", NULL, .holds = has_long_stack },
	{ "3701", NULL, .holds = is_without_stack },
	{ "3701", STACKS "|" FAR, .met = EXCUSE_SAME, .holds = switched_tasks },
	/* Descriptors, limits and rights. */
	{ "3701", "LAR|LSL", .holds = is_long },
	{ "3701", FAR, .met = GP_VECTOR, .holds = is_long },
	{ "3701", FAR, .wanted = NP_VECTOR, .met = GP_VECTOR },
	{ "3701", FAR, .holds = has_rex_w },
	{ "3701", NULL, .wanted = GP_VECTOR, .holds = has_address },
	{ "3701", NULL, .wanted = SS_VECTOR, .holds = has_address },
	{ "3701", "WRMSR|SYSENTER|SYSEXIT|LTR", .wanted = GP_VECTOR },
	{ "3701", "WRMSR|SYSENTER|SYSEXIT|LTR", .wanted = SS_VECTOR },
	{ "3701", "MOV segment", .wanted = GP_VECTOR, .met = BP_VECTOR, .holds = is_64bit },
	{ "3701", "ARPL", .met = PF_VECTOR },
	/* Registers. */
	{ "3701", "MOV CR", .holds = changes_paging },
	{ "3701", "MOV CR", .holds = moves_upper_half },
	{ "3701", "RDMSR|WRMSR", .holds = has_wide_msr_number },
	{ "3701", "MOV CR|MOV DR|XSETBV", .wanted = UD_VECTOR, .met = GP_VECTOR, .holds = is_user },
	{ "3701", "MOV DR", .wanted = DB_VECTOR },
	{ "3701", NULL, .wanted = DB_VECTOR, .met = UD_VECTOR },
	{ "3701", "MOVUPS", .wanted = UD_VECTOR, .met = NM_VECTOR },
	{ "3701", NULL, .wanted = UD_VECTOR, .holds = has_lock },
	{ "3701", NULL, .met = EXCUSE_SAME, .holds = has_lock },
	/* Another error code. */
	{ "3701", "INT", .met = EXCUSE_SAME },
	{ "3701", "LIDT", .met = EXCUSE_SAME, .holds = is_long },
};

static const struct scene_excuse bochs_excuses[] = {
	{ "0504", "MOV CR", .holds = reads_cr2 },
	{ "3702", FAR, .holds = has_rex_w },
	{ "3702", "CALL", .holds = has_narrow_operand },
	{ "3702", NULL, .holds = is_without_stack },
	{ "3702", "MOVUPS", .wanted = AC_VECTOR },
	{ "3702", "ARPL", .met = GP_VECTOR },
	{ "3702", "SYSRET", .wanted = UD_VECTOR, .met = GP_VECTOR },
	{ "3702", "CALL far", .wanted = GP_VECTOR, .met = GP_VECTOR },
	{ "3702", "PUSH segment" },
	{ "3702", NULL, .wanted = PF_VECTOR, .met = AC_VECTOR },
	{ "3702", "MOV DR", .holds = has_general_detect },
};

#undef FAR
#undef STACKS
#undef BRANCHES

#endif
