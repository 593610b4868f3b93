// SPDX-License-Identifier: GPL-2.0-or-later
/* Small files of /proc and /sys, read whole or not at all. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ccprobe.h"

/* Return the bytes read, or -errno; a file that fills the buffer is EFBIG. */
long read_file(const char *path, char *buffer, size_t size)
{
	size_t used = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (used < size) {
		got = read(fd, buffer + used, size - used);
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	if (got < 0)
		got = -errno;
	close(fd);
	if (got < 0)
		return got;
	return used < size ? (long)used : -EFBIG;
}

/* Send a file's content without the newline at its end, or why it cannot be read. */
void send_file(struct wire *wire, const char *name, const char *path)
{
	char buffer[FILE_MAX];
	long count = read_file(path, buffer, sizeof(buffer));

	if (count < 0) {
		wire_line(wire, "text");
		wire_str(wire, "name", name);
		wire_str(wire, "errno", errno_name((int)-count));
		wire_send(wire);
		return;
	}
	if (count && buffer[count - 1] == '\n')
		count--;
	wire_text(wire, name, buffer, (size_t)count);
}
