/* SPDX-License-Identifier: MIT */
/* Scenes (differ/scene.h) by KVM and by the machine, compared: for the cases that only differ in how many and which. */
#ifndef VMASSAY_CASES_SCENES_H
#define VMASSAY_CASES_SCENES_H

#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "case.h"
#include "differ/scene.h"
#include "vm/x86/mode.h"

#define SCENES_MAX_TOLD 3
#define SCENES_MAX_EXITS 1000
#define SCENES_NR_COUNTERS 6	/* that KVM gives to RDPMC; the machine has none */
#define TYPE_TSS_AVAILABLE 9
#define DR7_GD (1u << 13)
#define SCENES_MAX_SECONDS 10	/* of one scene; it takes less than a millisecond where nothing is wrong */

struct scenes_row {
	ROW_FIELDS;
	enum scene_mode mode;
	unsigned int cpl;
};

#define SCENES_ROW(label_, mode_, cpl_) { .label = label_, .mode = mode_, .cpl = cpl_ }

static const struct scenes_row scenes_rows[] = {
	SCENES_ROW("real", SCENE_REAL, 0),
	SCENES_ROW("vm86", SCENE_VM86, 3),
	SCENES_ROW("prot16_cpl0", SCENE_PROT16, 0),
	SCENES_ROW("prot16_cpl3", SCENE_PROT16, 3),
	SCENES_ROW("prot32_cpl0", SCENE_PROT32, 0),
	SCENES_ROW("prot32_cpl3", SCENE_PROT32, 3),
	SCENES_ROW("compat16_cpl0", SCENE_COMPAT16, 0),
	SCENES_ROW("compat16_cpl3", SCENE_COMPAT16, 3),
	SCENES_ROW("compat32_cpl0", SCENE_COMPAT32, 0),
	SCENES_ROW("compat32_cpl3", SCENE_COMPAT32, 3),
	SCENES_ROW("long64_cpl0", SCENE_LONG64, 0),
	SCENES_ROW("long64_cpl3", SCENE_LONG64, 3),
};

struct scenes {
	struct test *t;
	struct vm *vm;
	struct vcpu *vcpu;
	uint8_t *memory;
	struct world_machine *machine;
	struct kvm_sregs sregs;	/* of a fresh vCPU */
	bool is_on_tcg;
	uint64_t cr4_absent;	/* bits that a scene may have and this CPU has not */
	unsigned int nr_told, nr_compared;
};

/* QEMU's CPU in the lab; it has findings of its own, which a CPU that checks more shall not be excused by. */
static bool scenes_is_on_tcg(void)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0x40000000, eax, ebx, ecx, edx);
	return ebx == 0x54474354 && ecx == 0x43544743 && edx == 0x47435447;	/* "TCGTCGTCGTCG" */
}

static struct vcpu *scenes_running;

static void scenes_give_up(int number)
{
	(void)number;
	vcpu_kick(scenes_running);
}

static uint64_t scenes_cr4_absent(const struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 leaf = { 0 };

	cpuid_find(cpuid, 7, 0, &leaf);
	return (leaf.ebx & 1u << 7 ? 0 : X86_CR4_SMEP) | (leaf.ebx & 1u << 20 ? 0 : X86_CR4_SMAP) |
	       (leaf.ecx & 1u << 2 ? 0 : X86_CR4_UMIP);
}

static void scenes_open(struct scenes *scenes, struct test *t)
{
	struct sigaction action = { .sa_handler = scenes_give_up };
	struct kvm_cpuid2 *supported = sys_supported_cpuid(t->sys), *cpuid;

	*scenes = (struct scenes){ .t = t, .is_on_tcg = scenes_is_on_tcg() };
	scenes->machine = world_machine_new(supported);
	free(supported);
	require_true(t, scenes->machine != NULL);
	scenes->vm = vm_create(t->sys);
	scenes->memory = vm_slot_add(scenes->vm, 0, 0, 0, WORLD_BYTES);
	scenes->vcpu = vcpu_create(scenes->vm, 0);
	cpuid = world_machine_cpuid(scenes->machine);
	require_true(t, cpuid != NULL);
	scenes->cr4_absent = scenes_cr4_absent(cpuid);
	vcpu_ioctl(scenes->vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	vcpu_ioctl(scenes->vcpu, KVM_GET_SREGS, &scenes->sregs);
	scenes_running = scenes->vcpu;
	sigaction(SIGALRM, &action, NULL);
}

static void scenes_close(struct scenes *scenes)
{
	signal(SIGALRM, SIG_DFL);
	vm_destroy(scenes->vm);
	world_machine_free(scenes->machine);
}

static void scenes_answer_port(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t value = world_port(run->io.port), i;

	for (i = 0; i < run->io.count && run->io.direction == KVM_EXIT_IO_IN; i++)
		memcpy(data + i * run->io.size, &value, run->io.size);
}

static enum world_end scenes_run(struct vcpu *vcpu)
{
	struct itimerval limit = { .it_value.tv_sec = SCENES_MAX_SECONDS }, none = { 0 };
	enum world_end end = WORLD_LOST;
	unsigned int i;

	vcpu->run->immediate_exit = 0;
	setitimer(ITIMER_REAL, &limit, NULL);
	for (i = 0; i < SCENES_MAX_EXITS && !vcpu_run_try(vcpu) && vcpu->run->exit_reason == KVM_EXIT_IO; i++)
		scenes_answer_port(vcpu->run);
	setitimer(ITIMER_REAL, &none, NULL);
	if (vcpu->run->exit_reason == KVM_EXIT_HLT)
		end = WORLD_HALTED;
	else if (vcpu->run->exit_reason == KVM_EXIT_SHUTDOWN)
		end = WORLD_SHUT_DOWN;
	if (vcpu->run->immediate_exit)
		end = WORLD_LOST;
	/* The access of an exit is completed before the next scene, and not in it. */
	vcpu->run->immediate_exit = 1;
	if (end == WORLD_LOST)
		vcpu_run_try(vcpu);
	return end;
}

struct scenes_msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[NR_SCENE_MSRS];
};

static void scenes_enter(struct scenes *scenes, const struct scene *scene)
{
	struct kvm_sregs sregs = scene->sregs;
	struct kvm_vcpu_events events = { 0 };
	struct kvm_debugregs debugregs = { .dr6 = scene->dr6, .dr7 = scene->dr7 };
	struct kvm_fpu fpu = { .fcw = SCENE_FCW, .mxcsr = SCENE_MXCSR };
	struct scenes_msrs msrs = { .head.nmsrs = NR_SCENE_MSRS };
	unsigned int i;

	memcpy(scenes->memory, scene->memory, WORLD_BYTES);
	sregs.apic_base = scenes->sregs.apic_base;
	/* KVM shows a TSS in TR as busy whatever it is; QEMU wants it to be available. */
	sregs.tr.type = TYPE_TSS_AVAILABLE;
	memcpy(debugregs.db, scene->dr, sizeof(scene->dr));
	for (i = 0; i < NR_SCENE_MSRS; i++)
		msrs.entries[i] = (struct kvm_msr_entry){ .index = scene_msr_numbers[i], .data = scene->msrs[i] };
	vcpu_ioctl(scenes->vcpu, KVM_SET_VCPU_EVENTS, &events);
	vcpu_ioctl(scenes->vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(scenes->vcpu, KVM_SET_REGS, &scene->regs);
	vcpu_ioctl(scenes->vcpu, KVM_SET_DEBUGREGS, &debugregs);
	vcpu_ioctl(scenes->vcpu, KVM_SET_FPU, &fpu);
	vcpu_ioctl(scenes->vcpu, KVM_SET_MSRS, &msrs.head);
	scenes->vcpu->run->cr8 = scene->sregs.cr8;
}

static void scenes_take(struct scenes *scenes, struct scene_outcome *outcome)
{
	struct kvm_debugregs debugregs;
	struct scenes_msrs msrs = { .head.nmsrs = NR_SCENE_MSRS };
	unsigned int i;

	for (i = 0; i < NR_SCENE_MSRS; i++)
		msrs.entries[i].index = scene_msr_numbers[i];
	vcpu_ioctl(scenes->vcpu, KVM_GET_REGS, &outcome->regs);
	vcpu_ioctl(scenes->vcpu, KVM_GET_SREGS, &outcome->sregs);
	vcpu_ioctl(scenes->vcpu, KVM_GET_DEBUGREGS, &debugregs);
	vcpu_ioctl(scenes->vcpu, KVM_GET_MSRS, &msrs.head);
	memcpy(outcome->dr, debugregs.db, sizeof(outcome->dr));
	outcome->dr6 = debugregs.dr6;
	outcome->dr7 = debugregs.dr7;
	for (i = 0; i < NR_SCENE_MSRS; i++)
		outcome->msrs[i] = msrs.entries[i].data;
}

static bool scenes_is_any(const char *name, const char *const *names)
{
	while (*names && strcmp(name, *names))
		names++;
	return *names;
}

static bool scenes_has_rex_w(const struct scene *scene)
{
	return scene->mode == SCENE_LONG64 && memchr(scene->code, 0x48, scene->len);
}

/* The register that a MOV of a control register is from or to. */
static uint64_t scenes_moved(const struct scene *scene)
{
	const uint8_t *tail = scene->code + scene->len - 2;
	const __u64 *const regs[] = { &scene->regs.rax, &scene->regs.rcx, &scene->regs.rdx, &scene->regs.rbx, &scene->regs.rsp,
		&scene->regs.rbp, &scene->regs.rsi, &scene->regs.rdi, &scene->regs.r8, &scene->regs.r9, &scene->regs.r10,
		&scene->regs.r11, &scene->regs.r12, &scene->regs.r13, &scene->regs.r14, &scene->regs.r15 };
	bool has_rex_b = scene->mode == SCENE_LONG64 && scene->len > 3 && (tail[-2] & 0xf1) == 0x41;

	return *regs[(tail[1] & 7) + 8 * has_rex_b];
}

/* True for a MOV to CR0, CR3 or CR4 of 64 bits whose upper half is not zero. */
static bool scenes_has_upper_half(const struct scene *scene)
{
	return scene->mode == SCENE_LONG64 && !strcmp(scene->name, "MOV CR") && scene->code[scene->len - 2] == 0x22 &&
	       scenes_moved(scene) >> 32;
}

/* What KVM is known to do otherwise: findings/3700; 0302 of the upper half; 4700 and 4701 of RDPMC; 0703 and 4702 of INS. */
static bool scenes_is_kvms(const struct scene *scene, const struct scene_outcome *want)
{
	static const char *const fast_calls[] = { "SYSENTER", "SYSEXIT", NULL };

	if (scenes_has_upper_half(scene) && (scene->code[scene->len - 1] >> 3 & 7) != 3)
		return true;
	if (!strcmp(scene->name, "INS") && scene_vector(want) == PF_VECTOR)
		return true;
	/* KVM reads the PDPTEs anew, and checks them, as Intel's CPUs do. */
	if (!strcmp(scene->name, "MOV CR") && scene->mode < SCENE_COMPAT16 && (scene->sregs.cr4 | want->sregs.cr4) & X86_CR4_PAE &&
	    (scene->code[scene->len - 1] >> 3 & 7) != 2)
		return true;
	if (!strcmp(scene->name, "RDPMC") &&
	    ((uint32_t)scene->regs.rcx << 2 >> 2 < SCENES_NR_COUNTERS || (uint32_t)scene->regs.rcx - 0x10000 < 3))
		return true;
	if (!strcmp(scene->name, "WRMSR") && (uint32_t)scene->regs.rcx == MSR_EFER && scene->regs.rax & EFER_LMSLE)
		return true;
	return (scene->cpl && !strcmp(scene->name, "VMRUN")) ||
	       (scene->mode >= SCENE_COMPAT16 && scenes_is_any(scene->name, fast_calls));
}

/* What the stack is after a task switch that could not load it, no manual says. */
static bool scenes_is_without_stack(const struct scene *scene, const struct scene_outcome *want)
{
	return want->end == WORLD_SHUT_DOWN && scene->has_address;
}

/* What QEMU's CPU is known to do otherwise: findings/3701. */
static bool scenes_is_tcgs(const struct scene *scene, const struct scene_outcome *want, const struct scene_outcome *got)
{
	static const char *const all[] = { "ICEBP", "SYSCALL", "SYSRET", "EMMS", NULL };
	static const char *const far[] = { "JMP far", "CALL far", "LxS", NULL };
	static const char *const stacks[] = { "CALL far", "RET far", "IRET", "INT", NULL };
	static const char *const orders[] = { "MOV CR", "MOV DR", "XSETBV", NULL };
	static const char *const msrs[] = { "RDMSR", "WRMSR", NULL };
	static const char *const checks[] = { "WRMSR", "SYSENTER", "SYSEXIT", "LTR", NULL };
	static const char *const rights[] = { "LAR", "LSL", NULL };
	static const char *const branches[] = { "CALL", "JMP", "RET", "CALL far", "JMP far", "RET far", "IRET", NULL };
	unsigned int wanted = scene_vector(want), met = scene_vector(got);
	const uint8_t *tail = scene->code + scene->len - 2;
	bool is_long = scene->mode >= SCENE_COMPAT16;

	/* Data is executed: that of a stack, or any. */
	if ((!strcmp(scene->name, "CALL") || !strcmp(scene->name, "JMP")) && tail[0] == 0xff && (tail[1] & 0xc7) == 0xc4)
		return true;
	if ((wanted == UD_VECTOR && scenes_is_any(scene->name, branches)) ||
	    ((want->sregs.cr0 ^ scene->sregs.cr0) & X86_CR0_PG && !strcmp(scene->name, "MOV CR")))
		return true;
	if (is_long && (scenes_is_any(scene->name, rights) || (met == GP_VECTOR && scenes_is_any(scene->name, far))))
		return true;
	if (scenes_has_upper_half(scene) || (met == PF_VECTOR && !strcmp(scene->name, "ARPL")) ||
	    (!strcmp(scene->name, "RET far") && tail[-1] == 0xca && tail[1] & 0x80))
		return true;
	/* A task switch that fails when it cannot go back. */
	if (wanted == met && want->sregs.cr0 & ~scene->sregs.cr0 & X86_CR0_TS &&
	    (scenes_is_any(scene->name, stacks) || scenes_is_any(scene->name, far)))
		return true;
	if (scenes_is_any(scene->name, all) || (scenes_has_rex_w(scene) && scenes_is_any(scene->name, far)))
		return true;
	if (wanted == AC_VECTOR || (scene->has_lock && (wanted == UD_VECTOR || wanted == met)))
		return true;
	if (wanted == UD_VECTOR && met == NM_VECTOR && !strcmp(scene->name, "MOVUPS"))
		return true;
	/* SS of 64-bit mode. */
	if (wanted == GP_VECTOR && met == BP_VECTOR && !strcmp(scene->name, "MOV segment") && scene->mode == SCENE_LONG64)
		return true;
	if ((wanted == GP_VECTOR || wanted == SS_VECTOR) && (scene->has_address || scenes_is_any(scene->name, checks)))
		return true;
	if (wanted == UD_VECTOR && met == GP_VECTOR && scene->cpl && scenes_is_any(scene->name, orders))
		return true;
	/* Stacks that cannot be used are used. */
	if (scenes_is_without_stack(scene, want) || want->sregs.ss.l)
		return true;
	if (scenes_is_any(scene->name, msrs) && scene->regs.rcx >> 32 && (uint32_t)scene->regs.rcx < 0x2000)
		return true;
	if (wanted == DB_VECTOR && (met == UD_VECTOR || !strcmp(scene->name, "MOV DR")))
		return true;
	if ((wanted == PF_VECTOR || met == PF_VECTOR) && scenes_is_any(scene->name, stacks))
		return true;
	if (wanted == NP_VECTOR && met == GP_VECTOR && scenes_is_any(scene->name, far))
		return true;
	/* Another error code. */
	return wanted == met && (!strcmp(scene->name, "INT") || (is_long && !strcmp(scene->name, "LIDT")));
}

/* What Bochs's CPU is known to do otherwise, or may: findings/3702. */
static bool scenes_is_bochss(const struct scene *scene, const struct scene_outcome *want, const struct scene_outcome *got)
{
	static const char *const far[] = { "JMP far", "CALL far", "LxS", NULL };
	unsigned int wanted = scene_vector(want), met = scene_vector(got);
	const uint8_t *tail = scene->code + scene->len - 2;

	/* MOV from CR2: 0504. */
	if (!strcmp(scene->name, "MOV CR") && tail[0] == 0x20 && (tail[1] >> 3 & 7) == 2)
		return true;
	if (scene->mode == SCENE_LONG64 && (scenes_has_rex_w(scene) ? scenes_is_any(scene->name, far) :
					    !strcmp(scene->name, "CALL") && memchr(scene->code, 0x66, 3)))
		return true;
	if (scenes_is_without_stack(scene, want) || (wanted == AC_VECTOR && !strcmp(scene->name, "MOVUPS")) ||
	    (met == GP_VECTOR && !strcmp(scene->name, "ARPL")) ||
	    (wanted == UD_VECTOR && met == GP_VECTOR && !strcmp(scene->name, "SYSRET")) ||
	    (wanted == GP_VECTOR && met == GP_VECTOR && !strcmp(scene->name, "CALL far")))
		return true;
	return !strcmp(scene->name, "PUSH segment") || (wanted == PF_VECTOR && met == AC_VECTOR) ||
	       (!strcmp(scene->name, "MOV DR") && scene->dr7 & DR7_GD);
}

/* Long mode enabled in real mode: QEMU never comes back from the guest. */
static bool scenes_ends_tcg(const struct scene *scene)
{
	return scene->mode == SCENE_REAL && !strcmp(scene->name, "WRMSR") && (uint32_t)scene->regs.rcx == MSR_EFER &&
	       scene->regs.rax & EFER_LME;
}

/* As scenes_is_tcgs(), of what can be taken back: @got is made what it should be. */
static void scenes_mend_tcg(const struct scene *scene, const struct scene_outcome *want, struct scene_outcome *got,
			    uint8_t *memory)
{
	uint32_t at;

	if (scene->mode < SCENE_COMPAT16 && (scene->sregs.cr4 & X86_CR4_PAE))
		memory[SCENE_TABLES_AT] = want->memory[SCENE_TABLES_AT];
	if (want->sregs.ldt.unusable && got->sregs.ldt.selector == want->sregs.ldt.selector)
		got->sregs.ldt = want->sregs.ldt;
	/* Bytes of descriptors that have the type. */
	for (at = SCENE_GDT_AT + 5; at < SCENE_GDT_AT + SCENE_GDT_BYTES; at += 8)
		if ((want->memory[at] ^ memory[at]) == 1)
			memory[at] = want->memory[at];
	got->dr6 = (got->dr6 & ~(1ull << 12)) | (want->dr6 & 1ull << 12);
	got->dr7 = (got->dr7 & ~0xd000ull) | (want->dr7 & 0xd000ull);
}

static void scenes_tell(struct scenes *scenes, const struct scene *scene, uint64_t seed, uint64_t index, const char *text)
{
	char what[256];
	int len = snprintf(what, sizeof(what), "%s, %s, CPL %u, CR0 0x%llx, CR4 0x%llx, seed 0x%llx, index %llu:", scene->name,
			   scene_mode_name(scene->mode), scene->cpl, (unsigned long long)scene->sregs.cr0,
			   (unsigned long long)scene->sregs.cr4, (unsigned long long)seed, (unsigned long long)index);
	unsigned int i;

	for (i = 0; i < scene->len; i++)
		len += snprintf(what + len, sizeof(what) - (size_t)len, " %02x", scene->code[i]);
	if (scenes->nr_told++ < SCENES_MAX_TOLD)
		test_check_text(scenes->t, AT_EXPECT, what, "", text);
}

/* What the machine does not have, or what left the scene, is not for KVM to run. */
static void scenes_compare(struct scenes *scenes, const struct scenes_row *row, uint64_t seed, uint64_t index,
			   bool is_rehearsal)
{
	static struct scene scene;
	struct scene_outcome want, got = { .memory = scenes->memory };
	char text[4096];

	scene_make(&scene, row->mode, row->cpl, seed, index, NULL);
	scene.sregs.cr4 &= ~scenes->cr4_absent;
	world_machine_run_scene(scenes->machine, &scene, &want);
	if (want.missing && !is_rehearsal) {
		scenes_tell(scenes, &scene, seed, index, want.missing);
		return;
	}
	if (want.missing || want.end == WORLD_LOST || want.is_outside || (scenes->is_on_tcg && scenes_ends_tcg(&scene)))
		return;
	scenes_enter(scenes, &scene);
	got.end = scenes_run(scenes->vcpu);
	scenes_take(scenes, &got);
	if (is_rehearsal)
		return;
	scenes->nr_compared++;
	/* Bochs's VMRUN does not load it: 0504. */
	if (!scenes->is_on_tcg)
		got.sregs.cr2 = want.sregs.cr2;
	if (scenes->is_on_tcg)
		scenes_mend_tcg(&scene, &want, &got, scenes->memory);
	if (scenes_is_kvms(&scene, &want) || (scenes->is_on_tcg ? scenes_is_tcgs : scenes_is_bochss)(&scene, &want, &got))
		return;
	if (scene_differs(&scene, &want, &got, text, sizeof(text)))
		scenes_tell(scenes, &scene, seed, index, text);
}

/* Scenes 0 to @nr - 1 of @seed in the row's mode; of four, three must be worth it. */
static void scenes_compare_all(struct test *t, const struct scenes_row *row, uint64_t seed, unsigned int nr)
{
	struct scenes scenes;
	unsigned int i;

	scenes_open(&scenes, t);
	for (i = 0; i < nr; i++) {
		/* KVM's page tables shall be there: Bochs's CPU makes mistakes where a delivery has to wait for them (1012). */
		if (!scenes.is_on_tcg)
			scenes_compare(&scenes, row, seed, i, true);
		scenes_compare(&scenes, row, seed, i, false);
	}
	expect_true(t, scenes.nr_told <= SCENES_MAX_TOLD);
	expect_true(t, scenes.nr_compared >= nr / 4 * 3);
	scenes_close(&scenes);
}

#endif
