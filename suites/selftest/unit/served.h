/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program under the sanitizers answers many inputs of a test, because its
 * start takes longer than an answer. See served.py, which asks.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* What is printed to this is the answer. */
static FILE *answer;

static char *answered;
static size_t answered_length;

/* The next input: "word length\n", and so many bytes. False at the end. */
static bool next_input(char word[16], unsigned char *input, size_t room, size_t *count)
{
	if (scanf("%15s %zu", word, count) != 2 || getchar() != '\n' || *count > room)
		return false;
	answer = open_memstream(&answered, &answered_length);
	return answer && fread(input, 1, *count, stdin) == *count;
}

/* Sends "status length\n", and the answer. */
static void send_answer(int status)
{
	fclose(answer);
	printf("%d %zu\n", status, answered_length);
	fwrite(answered, 1, answered_length, stdout);
	fflush(stdout);
	free(answered);
}
