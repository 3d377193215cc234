/* SPDX-License-Identifier: MIT */
/*
 * "vmassay fuzz" inside a lab: searches there, and tells the outside of everything as it comes, so that nothing but the
 * input that was running is lost with the machine. The lines, beside a lab's own, are JSON objects of type "fuzz":
 *
 *	begin	seed, cover: whether the kernel tells its coverage
 *	seed	number: of the corpus' input that runs now; behind a death
 *	at	number: of the input that runs now; told now and then
 *	kept	number, input
 *	found	number, violation, outcome, input; or kernel: what it reported
 *	cover	places: new ones, as offsets in hexadecimal with commas between them
 *	words	number, words: constants that the kernel compared with in input number @number, likewise
 *	features	features: new ones, likewise
 *	stats	inputs, kept, features, findings, cover, seconds, known: how often each; KVM_RUNs, entries, resets, VMs made
 *	end	like stats
 *
 * Its name (comm) is the letter f and the running input's number: the kernel's own reports have it.
 */
#ifndef VMASSAY_CLI_FUZZ_AGENT_H
#define VMASSAY_CLI_FUZZ_AGENT_H

#include <stdint.h>

/*
 * The words inside: DOMAIN SEED FIRST CAREFUL COUNT GCOV KINDS WORDS FEATURES PLACES RAN INPUT...: numbers; how many inputs are told one by one; how
 * many are made at most, or 0; whether the kernel's counters are sent at the end; kinds of violations that are known, with
 * commas between them, or "-"; likewise what was learnt of the kernel, and features and places that
 * were met; how many inputs of the corpus ran on another machine, to the same end; the corpus' texts. Without a count it goes on until the lab is ended: the clock inside is
 * not one to go by. Returns the exit code.
 */
int fuzz_agent(int argc, char **argv);

#endif
