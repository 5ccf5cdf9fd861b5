/* Batches of prepared commands and the clients that send them. */
#include "imapload.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fputs("imapload: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

void batch_done(struct batch *batch)
{
    free(batch->data);
    free(batch->ends);
    memset(batch, 0, sizeof *batch);
}

static void batch_add(struct batch *batch, const char *data, size_t length)
{
    if (batch->length + length > batch->capacity) {
        batch->capacity = 2 * (batch->length + length);
        batch->data = need(realloc(batch->data, batch->capacity));
    }
    memcpy(batch->data + batch->length, data, length);
    batch->length += length;
}

static void batch_begin(struct batch *batch, struct conn *conn)
{
    char tag[32];
    if (batch->count == 0)
        batch->first_tag = conn->next_tag;
    int n = snprintf(tag, sizeof tag, "T%" PRIu64 " ", conn->next_tag++);
    batch_add(batch, tag, (size_t)n);
}

static void batch_end(struct batch *batch)
{
    batch_add(batch, "\r\n", 2);
    if (batch->count == batch->ends_capacity) {
        batch->ends_capacity = 2 * batch->ends_capacity + 16;
        batch->ends = need(realloc(batch->ends, batch->ends_capacity * sizeof *batch->ends));
    }
    batch->ends[batch->count++] = batch->length;
}

static void add_with_number(struct batch *batch, const char *text, size_t length, uint64_t number)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, number);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '%')
            batch_add(batch, digits, (size_t)n);
        else
            batch_add(batch, text + i, 1);
    }
}

void batch_commands(struct batch *batch, struct conn *conn, const char *text, uint64_t repeat,
                    uint64_t start, uint64_t stride, uint64_t modulus)
{
    for (uint64_t i = 0; i < repeat; i++) {
        uint64_t number = 1 + (start + i * stride) % modulus;
        for (const char *at = text; at != NULL;) {
            const char *end = strstr(at, " ;; ");
            batch_begin(batch, conn);
            add_with_number(batch, at, end == NULL ? strlen(at) : (size_t)(end - at), number);
            batch_end(batch);
            at = end == NULL ? NULL : end + 4;
        }
    }
}

void batch_append(struct batch *batch, struct conn *conn, const struct append_plan *plan)
{
    for (uint64_t i = 0; i < plan->count; i++) {
        const uint64_t *entry =
            plan->corpus->entries[(plan->first + i * plan->step) % plan->corpus->count];
        char line[512], date[64];
        if (i % plan->per_command == 0) {
            batch_begin(batch, conn);
            int n = snprintf(line, sizeof line, "APPEND \"%.200s\"", plan->mailbox);
            batch_add(batch, line, (size_t)n);
        }
        struct tm tm;
        time_t when = (time_t)entry[2];
        gmtime_r(&when, &tm);
        strftime(date, sizeof date, "%d-%b-%Y %H:%M:%S +0000", &tm);
        int n = snprintf(line, sizeof line, "%s%.100s \"%s\" {%" PRIu64 "+}\r\n",
                         plan->flags[0] == '\0' ? "" : " ", plan->flags, date, entry[1]);
        batch_add(batch, line, (size_t)n);
        batch_add(batch, plan->corpus->data + entry[0], entry[1]);
        if (i % plan->per_command == plan->per_command - 1 || i == plan->count - 1)
            batch_end(batch);
    }
}

/* A tagged answer has come: which command it belongs to, or -1. Commands that run side by side may
 * be answered in any order (RFC 9051 section 5.5). */
static int64_t answered(struct job *job, uint64_t sent)
{
    struct conn *conn = job->conn;
    uint64_t i = conn->done_tag - job->batch.first_tag;
    if (!conn->done_ok)
        return -1;
    if (conn->done_tag < job->batch.first_tag || i >= sent || job->latency[i] != 0) {
        conn_fail(conn, "answer with an unexpected tag T%" PRIu64, conn->done_tag);
        return -1;
    }
    return (int64_t)i;
}

static int run_in_turn(struct job *job)
{
    struct batch *batch = &job->batch;
    size_t at = 0;
    for (uint64_t i = 0; i < batch->count; i++) {
        uint64_t start = clock_now();
        if (conn_send(job->conn, batch->data + at, batch->ends[i] - at) != 0 ||
            conn_wait(job->conn, RESPONSE_TAGGED) != 0)
            return -1;
        if (answered(job, i + 1) != (int64_t)i)
            return -1;
        job->latency[i] = clock_now() - start;
        at = batch->ends[i];
    }
    return 0;
}

/* Takes all complete responses; adds the tagged ones to *done. */
static int take_answers(struct job *job, const uint64_t *sent_at, uint64_t sent, uint64_t *done)
{
    for (;;) {
        enum response response = conn_next(job->conn);
        if (response == RESPONSE_MORE)
            return 0;
        if (response == RESPONSE_ERROR)
            return -1;
        if (response != RESPONSE_TAGGED)
            continue;
        int64_t i = answered(job, sent);
        if (i < 0)
            return -1;
        job->latency[i] = clock_now() - sent_at[i] + 1;
        ++*done;
    }
}

/* Writes and reads at the same time, so that neither side waits for the other with full buffers. */
static int run_pipelined(struct job *job)
{
    struct batch *batch = &job->batch;
    struct conn *conn = job->conn;
    uint64_t *sent_at = need(calloc(batch->count, sizeof *sent_at));
    uint64_t done = 0, begun = 0;
    size_t at = 0;
    int result = conn_set_blocking(conn, false);
    while (result == 0 && done < batch->count) {
        uint64_t allowed = done + job->window < batch->count ? done + job->window : batch->count;
        size_t limit = batch->ends[allowed - 1];
        struct pollfd poller = {.fd = conn->fd, .events = POLLIN | (at < limit ? POLLOUT : 0)};
        if (poll(&poller, 1, 60000) <= 0) {
            result = conn_fail(conn, "no answer for 60 seconds");
            break;
        }
        if (at < limit && (poller.revents & POLLOUT) != 0) {
            long n = conn_send_some(conn, batch->data + at, limit - at);
            if (n < 0)
                result = -1;
            else
                at += (size_t)n;
            while (begun < allowed && (begun == 0 ? 0 : batch->ends[begun - 1]) < at)
                sent_at[begun++] = clock_now();
        }
        while (result == 0 && (poller.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            long n = conn_receive(conn);
            if (n == 0)
                break;
            result = n < 0 ? -1 : take_answers(job, sent_at, begun, &done);
        }
    }
    free(sent_at);
    conn_set_blocking(conn, true);
    return result;
}

static void job_run(struct job *job)
{
    job->result = job->window <= 1 ? run_in_turn(job) : run_pipelined(job);
    job->end = clock_now();
}

struct starter {
    struct job *job;
    pthread_barrier_t *barrier;
};

static void *job_thread(void *argument)
{
    struct starter *starter = argument;
    pthread_barrier_wait(starter->barrier);
    job_run(starter->job);
    return NULL;
}

static uint64_t run_threads(struct job *jobs, size_t count)
{
    pthread_barrier_t barrier;
    pthread_t *threads = need(calloc(count, sizeof *threads));
    struct starter *starters = need(calloc(count, sizeof *starters));
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    for (size_t i = 0; i < count; i++) {
        starters[i] = (struct starter){&jobs[i], &barrier};
        if (pthread_create(&threads[i], NULL, job_thread, &starters[i]) != 0)
            need(NULL);
    }
    uint64_t start = clock_now();
    pthread_barrier_wait(&barrier);
    uint64_t end = start;
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        end = jobs[i].end > end ? jobs[i].end : end;
    }
    pthread_barrier_destroy(&barrier);
    free(threads);
    free(starters);
    return end - start;
}

uint64_t jobs_run(struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        jobs[i].latency = need(calloc(jobs[i].batch.count + 1, sizeof *jobs[i].latency));
    if (count > 1)
        return run_threads(jobs, count);
    uint64_t start = clock_now();
    job_run(&jobs[0]);
    return jobs[0].end - start;
}
