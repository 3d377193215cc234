/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_XSAVE2 writes as many bytes as KVM_CAP_XSAVE2 of the VM says, the first 4096 of which are those of
 * KVM_GET_XSAVE, and KVM_SET_XSAVE takes them back.
 *
 * Can break: the size of another VM's or the system's features, bytes written behind the end, a component left out.
 * Source: KVM API, 4.42 (KVM_GET_XSAVE2), 4.43 (KVM_SET_XSAVE).
 */
#include "case.h"

#include <stdlib.h>
#include <string.h>

#define POISON 64

CASE(xsave2, .says = "KVM_GET_XSAVE2 has KVM_GET_XSAVE's bytes, and as many as told", .modes = LONG64,
     .needs = "KVM_CAP_XSAVE2 cpuid:xsave")

GUEST(xsave2)
{
	guest_sync(1);
}

HOST(xsave2)
{
	long size = vm_has_cap(t->vm, KVM_CAP_XSAVE2);
	static struct kvm_xsave first;
	uint8_t poison[POISON], *all;

	expect_sync(t, 1);
	require_true(t, size >= (long)sizeof(first) && size < 1 << 20);
	all = malloc(size + POISON);
	require_true(t, all != NULL);
	memset(poison, 0xa5, POISON);
	memset(all, 0xa5, size + POISON);
	vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &first);
	expect_result(t, 0, sys_call(t->sys, t->vcpu->fd, KVM_GET_XSAVE2, (uintptr_t)all));
	expect_bytes(t, &first, all, sizeof(first));
	expect_bytes(t, poison, all + size, POISON);
	/* XMM3 changes, and is found where both have it. */
	memset(all + 160 + 3 * 16, 0x3c, 16);
	all[512] |= 2;
	expect_result(t, 0, sys_call(t->sys, t->vcpu->fd, KVM_SET_XSAVE, (uintptr_t)all));
	vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &first);
	expect_bytes(t, all, &first, sizeof(first));
	memset(all, 0xa5, size + POISON);
	expect_result(t, 0, sys_call(t->sys, t->vcpu->fd, KVM_GET_XSAVE2, (uintptr_t)all));
	expect_bytes(t, &first, all, sizeof(first));
	free(all);
	expect_done(t);
}
