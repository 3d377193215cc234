/* SPDX-License-Identifier: MIT */
/* Real mode by a KVM without unrestricted guest, which is virtual-8086 mode: where a known divergence of it holds. */
#ifndef VMASSAY_CASES_IOCTL_VM86_H
#define VMASSAY_CASES_IOCTL_VM86_H

#define VM86_KNOWN(finding_)								\
	.finding = finding_, .targets = "lab-vmx*", .needs = "param:kvm_intel.unrestricted_guest=0"

#endif
