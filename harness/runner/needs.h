/* SPDX-License-Identifier: MIT */
/*
 * What a test needs of its target, as data. A string of words, all of which must hold:
 *
 *	KVM_CAP_X		the capability is offered (KVM_CHECK_EXTENSION on the system fd > 0)
 *	KVM_CAP_X>=N		and its value is at least N
 *	KVM_CAP_X&N		and its value has all the bits of N
 *	cpuid:name		the feature is in KVM_GET_SUPPORTED_CPUID (needs.c has the names)
 *	vmx:name		the control or capability is in KVM's VMX feature MSRs (likewise)
 *	vendor:amd|intel	the module that answers
 *	nested			kvm_amd or kvm_intel was loaded with nested=1
 *	tdp			two-dimensional paging: kvm_amd.npt=1 or kvm_intel.ept=1
 *	param:module.name=value	a module parameter, as /sys/module shows it
 *	smp:N			the target has at least N online CPUs
 *	stable_tsc		the kernel has not given up its TSC as a clock
 *	root			the tests run as root
 *	debugfs			KVM's folder in debugfs is there, for us to read
 *	modules			KVM is not built in: its modules can be unloaded
 *	compat			the kernel has 32-bit processes
 *	pinned			KVM is one that this project chose: a lab's, or the embedded hypervisor
 *	lab			the machine is a lab, so that a test may do what others on it would suffer from
 */
#ifndef VMASSAY_NEEDS_H
#define VMASSAY_NEEDS_H

#include "vm/vm.h"

struct err;

/* Checks the words' form only: -EINVAL with the bad word in @err. */
int needs_parse(const char *needs, struct err *err);

/*
 * True when all of @needs hold. Otherwise @missing has the first word that does not, with why. A word that is not well
 * formed does not hold.
 */
bool needs_met(const char *needs, struct sys *sys, char *missing, size_t len_bytes);

/* True for two spellings of one value of a module parameter: "Y", as /sys/module shows it, and "1". */
bool param_values_equal(const char *one, const char *other);

#endif
