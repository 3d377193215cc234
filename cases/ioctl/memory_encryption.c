/* SPDX-License-Identifier: MIT */
/*
 * Where the platform encrypts no guests, or was told not to, its calls are not there: ENOTTY for each, whatever the
 * argument, and the VM is as usable as before.
 *
 * Can break: a command or a region handled without the feature, pages pinned for a VM that is not encrypted.
 * Source: KVM API, 4.110 to 4.112 (KVM_MEMORY_ENCRYPT_OP, _REG_REGION, _UNREG_REGION); ioctl(2): ENOTTY.
 */
#include "case.h"

#include <linux/kvm.h>
#include <sys/mman.h>

struct row {
	ROW_FIELDS;
	unsigned long request;
};

#define PLATFORMS(label_, request_)							\
	{ .label = label_ "_amd", .request = request_, .needs = "vendor:amd param:kvm_amd.sev=0" },	\
	{ .label = label_ "_intel", .request = request_, .needs = "vendor:intel" }

static const struct row rows[] = {
	PLATFORMS("op", KVM_MEMORY_ENCRYPT_OP),
	PLATFORMS("register", KVM_MEMORY_ENCRYPT_REG_REGION),
	PLATFORMS("unregister", KVM_MEMORY_ENCRYPT_UNREG_REGION),
};

CASE(memory_encryption, .says = "without memory encryption its calls are not there", .modes = LONG64,
     .rows = ROWS(rows))

GUEST(memory_encryption)
{
	out8(0x80, 1);
}

HOST(memory_encryption)
{
	const struct row *row = ROW(t, rows);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_enc_region region = { .addr = (uintptr_t)page, .size = 4096 };
	struct kvm_sev_cmd command = { .id = KVM_SEV_INIT, .sev_fd = (uint32_t)-1 };
	void *argument = row->request == KVM_MEMORY_ENCRYPT_OP ? (void *)&command : (void *)&region;

	require_true(t, page != MAP_FAILED);
	expect_errno(t, ENOTTY, sys_call(t->sys, t->vm->fd, row->request, (uintptr_t)argument));
	expect_eq(t, 0, command.error);
	if (row->request != KVM_MEMORY_ENCRYPT_OP)
		expect_errno(t, EFAULT, sys_call(t->sys, t->vm->fd, row->request, 8));
	else
		expect_errno(t, ENOTTY, sys_call(t->sys, t->vm->fd, row->request, 0));
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 1);
	expect_done(t);
}
