/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe as a library: what ccprobe.so exports. cffi reads this file.
 *
 * It does what "ccprobe ARGUMENTS" does, and the stream goes to out_fd; nothing goes
 * to stdout. The return value is the program's exit status. As in the program, it
 * takes SIGALRM and the process's timer, and leaves what it has opened to the end of
 * the process: so call it once, in a process that is made for it.
 */
#ifndef CCPROBE_LIBRARY_H
#define CCPROBE_LIBRARY_H

int ccprobe_main(int argc, char **argv, int out_fd);

#endif /* CCPROBE_LIBRARY_H */
