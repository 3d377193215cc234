/* SPDX-License-Identifier: MIT */
/*
 * The kernel tells who listens of each VM that comes and goes: a change of KVM's device with the process that made it,
 * the number of VMs made and of those that are there, and the VM's folder in debugfs.
 *
 * Can break: an event of the other kind, a count that does not go down again, another process's number.
 * Source: netlink(7), NETLINK_KOBJECT_UEVENT; virt/kvm (the event's variables are no part of the API).
 */
#include "case.h"

#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

CASE(uevents, .says = "a VM's creation and its end are told, and counted", .modes = NO_GUEST, .manual = true,
     .needs = "lab root debugfs", .alone = true)

/* "change@/devices/...", then NAME=VALUE strings. */
struct uevent {
	char text[4096];
	size_t bytes;
};

static int listen_open(struct test *t)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	require_true(t, fd >= 0);
	require_result(t, 0, bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static const char *value_find(const struct uevent *event, const char *name)
{
	size_t at, len = strlen(name);

	for (at = 0; at < event->bytes; at += strlen(event->text + at) + 1)
		if (!strncmp(event->text + at, name, len) && event->text[at + len] == '=')
			return event->text + at + len + 1;
	return "";
}

/* The next one of KVM's, within 5 s; others may come between. */
static struct uevent event_take(struct test *t, int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct uevent event = { .text = "" };

	do {
		require_result(t, 1, poll(&ready, 1, 5000));
		event.bytes = recv(fd, event.text, sizeof(event.text) - 1, 0);
		require_true(t, event.bytes < sizeof(event.text));
		event.text[event.bytes] = '\0';
	} while (strcmp(event.text, "change@/devices/virtual/misc/kvm"));
	return event;
}

static void expect_value(struct test *t, const struct uevent *event, const char *name, const char *want)
{
	test_check_text(t, AT_EXPECT, name, want, value_find(event, name));
}

static void expect_number(struct test *t, const struct uevent *event, const char *name, long want)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", want);
	expect_value(t, event, name, text);
}

HOST(uevents)
{
	int fd = listen_open(t);
	struct vm *first = vm_create(t->sys), *second;
	struct uevent event = event_take(t, fd);
	long nr_made = atol(value_find(&event, "CREATED")), nr_there = atol(value_find(&event, "COUNT"));
	char path[64];

	expect_value(t, &event, "EVENT", "create");
	expect_number(t, &event, "PID", getpid());
	snprintf(path, sizeof(path), "/kvm/%d-%d", getpid(), first->fd);
	expect_value(t, &event, "STATS_PATH", path);
	expect_true(t, nr_there >= 1 && nr_made >= nr_there);

	second = vm_create(t->sys);
	event = event_take(t, fd);
	expect_value(t, &event, "EVENT", "create");
	expect_number(t, &event, "CREATED", nr_made + 1);
	expect_number(t, &event, "COUNT", nr_there + 1);

	vm_destroy(first);
	event = event_take(t, fd);
	expect_value(t, &event, "EVENT", "destroy");
	expect_number(t, &event, "PID", getpid());
	expect_value(t, &event, "STATS_PATH", path);
	expect_number(t, &event, "CREATED", nr_made + 1);
	expect_number(t, &event, "COUNT", nr_there);

	vm_destroy(second);
	event = event_take(t, fd);
	expect_value(t, &event, "EVENT", "destroy");
	expect_number(t, &event, "COUNT", nr_there - 1);
	close(fd);
}
