/* SPDX-License-Identifier: MIT */
#include "vm/x86/vendor.h"

#include <cpuid.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"

static bool has_svm(void)
{
	static const unsigned int svm = 1 << 2;
	unsigned int eax, ebx, ecx = 0, edx;

	return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & svm);
}

const char *vendor_module(void)
{
	bool has_amd = !access("/sys/module/kvm_amd", F_OK);
	bool has_intel = !access("/sys/module/kvm_intel", F_OK);

	if (has_amd && has_intel)
		return has_svm() ? "kvm_amd" : "kvm_intel";
	if (has_amd)
		return "kvm_amd";
	return has_intel ? "kvm_intel" : "unknown";
}

const char *vendor_of(const struct backend *backend)
{
	return backend->module ? backend->module : vendor_module();
}

bool vendor_is_idle(const char *module)
{
	return (!strcmp(module, "kvm_amd") || !strcmp(module, "kvm_intel")) &&
	       strcmp(module, vendor_module());
}
