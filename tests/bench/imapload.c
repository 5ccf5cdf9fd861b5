/* imapload: reads commands from standard input, one a line, and answers each with one line, "ok
 * NAME=VALUE..." or "error TEXT". script/bench drives it (client.py); by hand it is a small tool of
 * its own:
 *
 *   corpus DIR                                  maps DIR/messages.bin and .idx
 *   open SLOT PORT plain|tls USER PASSWORD      connects and logs in
 *   close SLOT                                  LOGOUT
 *   run SLOT REPEAT WINDOW START STRIDE MODULUS TEXT
 *   append SLOT SLOTS FIRST COUNT PER_COMMAND WINDOW MAILBOX [FLAGS]
 *   logins PORT plain|tls COUNT CLIENTS ACCOUNTS PREFIX PASSWORD    connect, LOGIN, LOGOUT
 *   idle PORT plain|tls COUNT CLIENTS PREFIX PASSWORD MAILBOX       connect, LOGIN, SELECT, IDLE,
 * and stay drop                                        closes what `idle` opened keyword WORD
 * counts FETCH responses that hold it; without WORD: none crc 0|1 CRC-32 over literals quit
 */
#include "imapload.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS_MAX 128
#define IDLE_MAX  20000

static struct conn slots[SLOTS_MAX];
static struct conn *idle;
static uint64_t idle_count;
static struct corpus corpus;
static SSL_CTX *tls;
static char keyword[128];
static bool want_crc;

static int answer_error(const char *text)
{
    printf("error %s\n", text);
    return -1;
}

static SSL_CTX *mode_context(const char *mode)
{
    return strcmp(mode, "tls") == 0 ? tls : NULL;
}

static const void *map_file(const char *directory, const char *name, size_t *ret_size)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *data = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0)
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (data == MAP_FAILED)
        return NULL;
    *ret_size = (size_t)st.st_size;
    return data;
}

static int do_corpus(const char *directory)
{
    size_t size;
    corpus.data = map_file(directory, "messages.bin", &size);
    corpus.entries = map_file(directory, "messages.idx", &size);
    if (corpus.data == NULL || corpus.entries == NULL)
        return answer_error("cannot map the corpus");
    corpus.count = size / sizeof *corpus.entries;
    printf("ok messages=%" PRIu64 "\n", corpus.count);
    return 0;
}

static struct conn *slot_at(unsigned slot)
{
    return slot < SLOTS_MAX && slots[slot].fd >= 0 ? &slots[slot] : NULL;
}

static int do_open(unsigned slot, uint16_t port, const char *mode, const char *user,
                   const char *password)
{
    char text[512];
    if (slot >= SLOTS_MAX)
        return answer_error("no such slot");
    struct conn *conn = &slots[slot];
    conn_close(conn);
    snprintf(text, sizeof text, "LOGIN \"%s\" \"%s\"", user, password);
    uint64_t start = clock_now();
    if (conn_open(conn, port, mode_context(mode)) != 0 || conn_command(conn, text) != 0) {
        conn_close(conn);
        return answer_error(conn->error);
    }
    printf("ok wall=%" PRIu64 "\n", clock_now() - start);
    return 0;
}

static int do_close(unsigned slot)
{
    if (slot >= SLOTS_MAX)
        return answer_error("no such slot");
    if (slots[slot].fd >= 0)
        (void)conn_command(&slots[slot], "LOGOUT");
    conn_close(&slots[slot]);
    puts("ok");
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sums of all jobs, and the spread of how long the commands took. */
static void print_result(const struct job *jobs, size_t count, uint64_t wall)
{
    struct tally sum = {0};
    uint64_t commands = 0, filled = 0;
    for (size_t i = 0; i < count; i++)
        commands += jobs[i].batch.count;
    uint64_t *all = calloc(commands + 1, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        const struct tally *tally = &jobs[i].conn->tally;
        sum.bytes += tally->bytes;
        sum.untagged += tally->untagged;
        sum.fetch += tally->fetch;
        sum.keyword += tally->keyword;
        sum.expunge += tally->expunge;
        sum.status += tally->status;
        sum.numbers += tally->numbers;
        sum.digest ^= tally->digest;
        sum.literals += tally->literals;
        sum.literal_bytes += tally->literal_bytes;
        sum.crc ^= tally->crc;
        for (uint64_t k = 0; all != NULL && k < jobs[i].batch.count; k++)
            all[filled++] = jobs[i].latency[k];
    }
    printf("ok wall=%" PRIu64 " commands=%" PRIu64 " bytes=%" PRIu64 " untagged=%" PRIu64
           " fetch=%" PRIu64 " keyword=%" PRIu64 " expunge=%" PRIu64 " status=%" PRIu64
           " numbers=%" PRIu64 " digest=%" PRIx64 " literals=%" PRIu64 " literal_bytes=%" PRIu64
           " crc=%" PRIu32,
           wall, commands, sum.bytes, sum.untagged, sum.fetch, sum.keyword, sum.expunge, sum.status,
           sum.numbers, sum.digest, sum.literals, sum.literal_bytes, sum.crc);
    if (filled > 0) {
        qsort(all, filled, sizeof *all, compare);
        printf(" p50=%" PRIu64 " p99=%" PRIu64 " max=%" PRIu64, all[filled / 2],
               all[filled - 1 - filled / 100], all[filled - 1]);
    }
    printf(" text=%s\n", count == 1 ? jobs[0].conn->text : "");
    free(all);
}

static int run_jobs(struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct conn *conn = jobs[i].conn;
        memset(&conn->tally, 0, sizeof conn->tally);
        conn->tally.digest = 0xcbf29ce484222325u;
        conn->keyword = keyword[0] != '\0' ? keyword : NULL;
        conn->want_crc = want_crc;
        conn->text[0] = '\0';
    }
    uint64_t wall = jobs_run(jobs, count);
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        if (jobs[i].result != 0)
            result = answer_error(jobs[i].conn->error);
    if (result == 0)
        print_result(jobs, count, wall);
    for (size_t i = 0; i < count; i++) {
        batch_done(&jobs[i].batch);
        free(jobs[i].latency);
    }
    return result;
}

static int do_run(unsigned slot, uint64_t repeat, uint64_t window, const uint64_t numbers[3],
                  const char *text)
{
    struct job job = {.conn = slot_at(slot), .window = window};
    if (job.conn == NULL)
        return answer_error("no such connection");
    batch_commands(&job.batch, job.conn, text, repeat, numbers[0], numbers[1], numbers[2]);
    return run_jobs(&job, 1);
}

static int do_append(unsigned slot, unsigned count, struct append_plan *plan, uint64_t window)
{
    static struct job jobs[SLOTS_MAX];
    memset(jobs, 0, sizeof jobs);
    if (corpus.count == 0 || count == 0 || count > SLOTS_MAX)
        return answer_error("no corpus, or no such connections");
    uint64_t first = plan->first, total = plan->count;
    for (unsigned i = 0; i < count; i++) {
        jobs[i].conn = slot_at(slot + i);
        jobs[i].window = window;
        if (jobs[i].conn == NULL)
            return answer_error("no such connection");
        plan->first = first + i;
        plan->step = count;
        plan->count = total / count + (i < total % count);
        batch_append(&jobs[i].batch, jobs[i].conn, plan);
    }
    return run_jobs(jobs, count);
}

/* What several threads share that each open connections of their own. */
struct opener {
    uint16_t port;
    SSL_CTX *ctx;
    const char *prefix, *password, *mailbox;
    uint64_t count, accounts;
    atomic_uint_fast64_t next;
    bool stay; /* idle, otherwise LOGOUT at once */
    pthread_mutex_t lock;
    char error[320]; /* the first one */
};

static int open_one(struct opener *opener, uint64_t number, struct conn *conn)
{
    char text[512];
    snprintf(text, sizeof text, "LOGIN \"%s%" PRIu64 "\" \"%s\"", opener->prefix,
             number % opener->accounts, opener->password);
    if (conn_open(conn, opener->port, opener->ctx) != 0 || conn_command(conn, text) != 0)
        return -1;
    if (!opener->stay)
        return conn_command(conn, "LOGOUT");
    snprintf(text, sizeof text, "SELECT \"%s\"", opener->mailbox);
    if (conn_command(conn, text) != 0)
        return -1;
    int n = snprintf(text, sizeof text, "T%" PRIu64 " IDLE\r\n", conn->next_tag++);
    if (conn_send(conn, text, (size_t)n) != 0 || conn_wait(conn, RESPONSE_CONTINUE) != 0)
        return -1;
    conn_trim(conn);
    return 0;
}

static void *opener_thread(void *argument)
{
    struct opener *opener = argument;
    for (;;) {
        uint64_t number = atomic_fetch_add(&opener->next, 1);
        if (number >= opener->count || opener->error[0] != '\0')
            return NULL;
        struct conn own, *conn = opener->stay ? &idle[number] : &own;
        if (open_one(opener, number, conn) != 0) {
            pthread_mutex_lock(&opener->lock);
            if (opener->error[0] == '\0')
                snprintf(opener->error, sizeof opener->error, "connection %" PRIu64 ": %.280s",
                         number, conn->error);
            pthread_mutex_unlock(&opener->lock);
        }
        if (!opener->stay)
            conn_close(conn);
    }
}

static int run_opener(struct opener *opener, unsigned clients)
{
    pthread_t threads[SLOTS_MAX];
    if (clients == 0 || clients > SLOTS_MAX || opener->accounts == 0)
        return answer_error("wrong number of clients or accounts");
    pthread_mutex_init(&opener->lock, NULL);
    uint64_t start = clock_now();
    for (unsigned i = 0; i < clients; i++)
        if (pthread_create(&threads[i], NULL, opener_thread, opener) != 0)
            abort();
    for (unsigned i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    uint64_t wall = clock_now() - start;
    if (opener->error[0] != '\0')
        return answer_error(opener->error);
    printf("ok wall=%" PRIu64 " commands=%" PRIu64 "\n", wall, opener->count);
    return 0;
}

static void do_drop(void)
{
    for (uint64_t i = 0; i < idle_count; i++)
        conn_close(&idle[i]);
    free(idle);
    idle = NULL;
    idle_count = 0;
}

static int do_idle(struct opener *opener, unsigned clients)
{
    do_drop();
    if (opener->count == 0 || opener->count > IDLE_MAX)
        return answer_error("too many connections");
    idle = calloc(opener->count, sizeof *idle);
    if (idle == NULL)
        return answer_error("out of memory");
    idle_count = opener->count;
    for (uint64_t i = 0; i < idle_count; i++)
        conn_init(&idle[i]);
    return run_opener(opener, clients);
}

/* The rest of the line from word number `index` on: names of mailboxes and commands hold spaces. */
static char *rest(char *line, int index)
{
    char *at = line;
    for (int i = 0; i < index && at != NULL; i++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at == NULL ? line + strlen(line) : at;
}

static int do_line(char *line)
{
    char word[16] = "", mode[8] = "", user[128] = "", password[128] = "", mailbox[256] = "",
         flags[104] = "";
    unsigned slot = 0, count = 0;
    uint64_t n[5] = {0};
    uint16_t port = 0;
    struct opener opener = {.ctx = NULL, .prefix = user, .password = password, .mailbox = mailbox};
    sscanf(line, "%15s", word);
    if (strcmp(word, "corpus") == 0)
        return do_corpus(rest(line, 1));
    if (sscanf(line, "open %u %hu %7s %127s %127s", &slot, &port, mode, user, password) == 5)
        return do_open(slot, port, mode, user, password);
    if (sscanf(line, "close %u", &slot) == 1)
        return do_close(slot);
    if (sscanf(line, "run %u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &slot,
               &n[0], &n[1], &n[2], &n[3], &n[4]) == 6 &&
        n[4] > 0)
        return do_run(slot, n[0], n[1], &n[2], rest(line, 7));
    if (sscanf(line, "append %u %u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %255s %103s",
               &slot, &count, &n[0], &n[1], &n[2], &n[3], mailbox, flags) >= 7 &&
        n[2] > 0) {
        struct append_plan plan = {.corpus = &corpus,
                                   .mailbox = mailbox,
                                   .flags = flags,
                                   .first = n[0],
                                   .count = n[1],
                                   .per_command = n[2]};
        return do_append(slot, count, &plan, n[3]);
    }
    if (sscanf(line, "logins %hu %7s %" SCNu64 " %u %" SCNu64 " %127s %127s", &opener.port, mode,
               &opener.count, &count, &opener.accounts, user, password) == 7) {
        opener.ctx = mode_context(mode);
        return run_opener(&opener, count);
    }
    if (sscanf(line, "idle %hu %7s %" SCNu64 " %u %127s %127s %255s", &opener.port, mode,
               &opener.count, &count, user, password, mailbox) == 7) {
        opener.ctx = mode_context(mode);
        opener.accounts = opener.count;
        opener.stay = true;
        return do_idle(&opener, count);
    }
    if (strcmp(word, "drop") == 0)
        do_drop();
    else if (strcmp(word, "keyword") == 0)
        snprintf(keyword, sizeof keyword, "%.127s", rest(line, 1));
    else if (strcmp(word, "crc") == 0)
        want_crc = rest(line, 1)[0] == '1';
    else
        return answer_error("unknown command");
    puts("ok");
    return 0;
}

int main(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL)
        return 1;
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    for (unsigned i = 0; i < SLOTS_MAX; i++)
        conn_init(&slots[i]);
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "quit") == 0)
            break;
        do_line(line);
        fflush(stdout);
    }
    free(line);
    return 0;
}
