/* SPDX-License-Identifier: MIT */
/*
 * An SMI handler that tells the host by SMM_PORT that it is there, and then returns; and the save area.
 *
 * Source: APM vol. 2, 10.2.3 (save area, AMD64 format), 10.3.
 */
#ifndef CASES_SVM_SMM_H
#define CASES_SVM_SMM_H

#include <string.h>

#include "case.h"

#define SMBASE 0x30000
#define SMM_ENTRY 0x8000
#define SMM_PORT 0x80

#define SAVED_DS 0xfe30
#define SAVED_CS 0xfe10
#define SAVED_SS 0xfe20
#define SAVED_HALT_RESTART 0xfec9
#define SAVED_EFER 0xfed0
#define SAVED_SVM_STATE 0xfed8
#define SAVED_VMCB 0xfee0
#define SAVED_CR4 0xff48
#define SAVED_CR3 0xff50
#define SAVED_CR0 0xff58
#define SAVED_DR7 0xff60
#define SAVED_RFLAGS 0xff70
#define SAVED_RIP 0xff78
#define SAVED_R15 0xff80
#define SAVED_RBX 0xffe0
#define SAVED_RSP 0xffd8
#define SAVED_RAX 0xfff8

#define SMM_NEEDS "KVM_CAP_X86_SMM KVM_CAP_MULTI_ADDRESS_SPACE>=2"

static inline void *smm_saved(struct test *t, uint32_t at)
{
	return vm_hva(t->vm, SMBASE + at, sizeof(uint64_t));
}

/* MOV AL, 5Ah; OUT 80h, AL; RSM */
static const uint8_t smm_handler[] = { 0xb0, 0x5a, 0xe6, SMM_PORT, 0x0f, 0xaa };

/* SMM sees the slots of the second address space: here the same memory as the first. */
static inline void smm_prepare(struct test *t)
{
	require_result(t, 0, vm_region_try(t->vm, 1 << 16, 0, 0, RAM_BYTES, vm_hva(t->vm, 0, RAM_BYTES)));
	memcpy(vm_hva(t->vm, SMBASE + SMM_ENTRY, sizeof(smm_handler)), smm_handler, sizeof(smm_handler));
}

static inline void smi(struct test *t)
{
	require_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_SMI, 0));
}

#define expect_smm_handler(t_) expect_pio_out(t_, .port = SMM_PORT, .size = 1, .count = 1, .data = 0x5a)

#endif
