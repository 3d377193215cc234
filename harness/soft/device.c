/* SPDX-License-Identifier: MIT */
/*
 * KVM_CREATE_DEVICE and the attributes of devices and of the system (KVM API, 4.79 to 4.81). The one device of x86 is VFIO's,
 * to which no group can be added here: no descriptor is one.
 */
#include "soft/private.h"

#include <errno.h>
#include <fcntl.h>

#include "vm/x86/bits.h"

static long answer_create(struct call *call)
{
	struct kvm_create_device *device = call->data;
	long fd;

	if (device->type != KVM_DEV_TYPE_VFIO)
		return -ENODEV;
	if (device->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	if (call->vm->has_vfio)
		return -EEXIST;
	fd = file_add_of_vm(call->soft, SOFT_DEVICE, call->vm, NULL);
	if (fd < 0)
		return fd;
	call->vm->has_vfio = true;
	device->fd = (uint32_t)fd;
	return 0;
}

static bool is_vfio_attr(const struct kvm_device_attr *attr)
{
	return attr->group == KVM_DEV_VFIO_GROUP &&
		(attr->attr == KVM_DEV_VFIO_GROUP_ADD || attr->attr == KVM_DEV_VFIO_GROUP_DEL);
}

static long answer_has_attr(struct call *call)
{
	return is_vfio_attr(call->data) ? 0 : -ENXIO;
}

static long answer_get_attr(struct call *call)
{
	(void)call;
	return -EPERM;
}

static long answer_set_attr(struct call *call)
{
	const struct kvm_device_attr *attr = call->data;
	int32_t group;

	if (!is_vfio_attr(attr))
		return -ENXIO;
	if (user_read(&group, (uintptr_t)attr->addr, sizeof(group)))
		return -EFAULT;
	return fcntl(group, F_GETFD) < 0 ? -EBADF : -EINVAL;
}

/* --- the system's --- */

static bool is_xcomp_attr(const struct kvm_device_attr *attr)
{
	return !attr->group && attr->attr == KVM_X86_XCOMP_GUEST_SUPP;
}

static long answer_system_has_attr(struct call *call)
{
	return is_xcomp_attr(call->data) ? 0 : -ENXIO;
}

static long answer_system_get_attr(struct call *call)
{
	const struct kvm_device_attr *attr = call->data;
	const uint64_t components = soft_xcr0_supported();

	if (!is_xcomp_attr(attr))
		return -ENXIO;
	return user_write((uintptr_t)attr->addr, &components, sizeof(components));
}

const struct answer vm_device_answers[] = {
	{ KVM_CREATE_DEVICE, answer_create, false },
	{ 0, NULL, false },
};

const struct answer device_answers[] = {
	{ KVM_HAS_DEVICE_ATTR, answer_has_attr, false },
	{ KVM_GET_DEVICE_ATTR, answer_get_attr, false },
	{ KVM_SET_DEVICE_ATTR, answer_set_attr, false },
	{ 0, NULL, false },
};

const struct answer system_attr_answers[] = {
	{ KVM_HAS_DEVICE_ATTR, answer_system_has_attr, false },
	{ KVM_GET_DEVICE_ATTR, answer_system_get_attr, false },
	{ 0, NULL, false },
};
