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
#include "cases/ioctl/scene_excuses.h"
#include "differ/scene.h"
#include "vm/x86/mode.h"

#define SCENES_MAX_TOLD 3
#define SCENES_MAX_EXITS 1000
#define TYPE_TSS_AVAILABLE 9
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

#define EXCUSE_FIND(table_, ...) excuse_find(table_, sizeof(table_) / sizeof((table_)[0]), __VA_ARGS__)

static const struct scene_excuse *scenes_excuse(const struct scenes *scenes, const struct scene *scene,
						const struct scene_outcome *want, const struct scene_outcome *got)
{
	const struct scene_excuse *kvms = EXCUSE_FIND(kvm_excuses, scene, want, got);

	if (kvms)
		return kvms;
	return scenes->is_on_tcg ? EXCUSE_FIND(tcg_excuses, scene, want, got) : EXCUSE_FIND(bochs_excuses, scene, want, got);
}

/* Long mode enabled in real mode: QEMU never comes back from the guest. */
static bool scenes_ends_tcg(const struct scene *scene)
{
	return scene->mode == SCENE_REAL && !strcmp(scene->name, "WRMSR") && (uint32_t)scene->regs.rcx == MSR_EFER &&
	       scene->regs.rax & EFER_LME;
}

/* Of finding 3701, too, what can be taken back: @got is made what it should be. */
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
	if (!scenes_excuse(scenes, &scene, &want, &got) && scene_differs(&scene, &want, &got, text, sizeof(text)))
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
