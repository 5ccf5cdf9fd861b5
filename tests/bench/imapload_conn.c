/* One connection of the load client: socket, TLS, and a parser of responses that only counts. */
#include "imapload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_SIZE (256 * 1024)
#define BUFFER_SIZE_MAX                                                                            \
    (64 * 1024 * 1024) /* one line: the SEARCH answer of some million messages */

int conn_fail(struct conn *conn, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(conn->error, sizeof conn->error, format, args);
    va_end(args);
    return -1;
}

void conn_init(struct conn *conn)
{
    memset(conn, 0, sizeof *conn);
    conn->fd = -1;
}

int conn_set_blocking(struct conn *conn, bool blocking)
{
    int flags = fcntl(conn->fd, F_GETFL);
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return fcntl(conn->fd, F_SETFL, flags);
}

static int open_tls(struct conn *conn, SSL_CTX *ctx)
{
    conn->ssl = SSL_new(ctx);
    if (conn->ssl == NULL || SSL_set_fd(conn->ssl, conn->fd) != 1)
        return conn_fail(conn, "SSL_new failed");
    if (SSL_connect(conn->ssl) != 1)
        return conn_fail(conn, "TLS handshake: %s", ERR_reason_error_string(ERR_get_error()));
    return 0;
}

int conn_open(struct conn *conn, uint16_t port, SSL_CTX *ctx)
{
    conn_init(conn);
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return conn_fail(conn, "socket: %s", strerror(errno));
    int on = 1;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return conn_fail(conn, "connect to port %u: %s", port, strerror(errno));
    if (ctx != NULL && open_tls(conn, ctx) != 0)
        return -1;
    return conn_wait(conn, RESPONSE_UNTAGGED);
}

void conn_close(struct conn *conn)
{
    SSL_free(conn->ssl);
    if (conn->fd >= 0)
        close(conn->fd);
    free(conn->data);
    conn->ssl = NULL;
    conn->data = NULL;
    conn->fd = -1;
    conn->start = conn->end = conn->capacity = conn->scanned = 0;
}

void conn_trim(struct conn *conn)
{
    if (conn->start != conn->end)
        return;
    free(conn->data);
    conn->data = NULL;
    conn->start = conn->end = conn->capacity = conn->scanned = 0;
}

long conn_send_some(struct conn *conn, const char *data, size_t length)
{
    if (conn->ssl == NULL) {
        ssize_t n = send(conn->fd, data, length, MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EINTR)
            return 0;
        return conn_fail(conn, "send: %s", strerror(errno));
    }
    ERR_clear_error();
    int n = SSL_write(conn->ssl, data, length > 1 << 20 ? 1 << 20 : (int)length);
    if (n > 0)
        return n;
    int error = SSL_get_error(conn->ssl, n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    return conn_fail(conn, "SSL_write: error %d", error);
}

int conn_send(struct conn *conn, const char *data, size_t length)
{
    while (length > 0) {
        long n = conn_send_some(conn, data, length);
        if (n < 0)
            return -1;
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Room for at least one byte at the end of the buffer, moving or growing it when it is full. */
static int make_room(struct conn *conn)
{
    if (conn->start == conn->end)
        conn->start = conn->end = conn->scanned = 0;
    if (conn->end < conn->capacity)
        return 0;
    if (conn->start > 0) {
        memmove(conn->data, conn->data + conn->start, conn->end - conn->start);
        conn->end -= conn->start;
        conn->scanned -= conn->start;
        conn->start = 0;
        return 0;
    }
    size_t capacity = conn->capacity == 0 ? BUFFER_SIZE : 2 * conn->capacity;
    char *data = capacity > BUFFER_SIZE_MAX ? NULL : realloc(conn->data, capacity);
    if (data == NULL)
        return conn_fail(conn, "a line of more than %zu bytes", conn->capacity);
    conn->data = data;
    conn->capacity = capacity;
    return 0;
}

long conn_receive(struct conn *conn)
{
    if (make_room(conn) != 0)
        return -1;
    char *into = conn->data + conn->end;
    size_t room = conn->capacity - conn->end;
    long n;
    if (conn->ssl == NULL) {
        n = recv(conn->fd, into, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0)
            return conn_fail(conn, "recv: %s", strerror(errno));
    } else {
        ERR_clear_error();
        n = SSL_read(conn->ssl, into, (int)room);
        if (n <= 0) {
            int error = SSL_get_error(conn->ssl, (int)n);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
                return 0;
            n = 0;
        }
    }
    if (n == 0)
        return conn_fail(conn, "the server closed the connection");
    conn->end += (size_t)n;
    conn->tally.bytes += (uint64_t)n;
    return n;
}

/* The announced length when the line (without its end) ends in a literal: {n}, ~{n}. */
static bool line_literal(const char *line, size_t length, uint64_t *ret_size)
{
    if (length < 3 || line[length - 1] != '}')
        return false;
    size_t i = length - 1;
    while (i > 0 && line[i - 1] >= '0' && line[i - 1] <= '9')
        i--;
    if (i == 0 || i == length - 1 || line[i - 1] != '{' || length - 1 - i > 18)
        return false;
    uint64_t size = 0;
    for (; i < length - 1; i++)
        size = size * 10 + (uint64_t)(line[i] - '0');
    *ret_size = size;
    return true;
}

static bool starts(const char *line, size_t length, const char *with)
{
    size_t n = strlen(with);
    return length >= n && memcmp(line, with, n) == 0;
}

static void count_numbers(struct tally *tally, const char *line, size_t length)
{
    bool digit_before = false;
    for (size_t i = 0; i < length; i++) {
        bool digit = line[i] >= '0' && line[i] <= '9';
        tally->numbers += digit && !digit_before;
        digit_before = digit;
        tally->digest = (tally->digest ^ (unsigned char)line[i]) * 0x100000001b3u;
    }
}

/* The first line of a response that begins with "* ". */
static void count_untagged(struct conn *conn, const char *line, size_t length)
{
    struct tally *tally = &conn->tally;
    tally->untagged++;
    size_t i = 2;
    while (i < length && line[i] >= '0' && line[i] <= '9')
        i++;
    conn->is_fetch = i > 2 && starts(line + i, length - i, " FETCH ");
    conn->has_keyword = false;
    if (conn->is_fetch) {
        tally->fetch++;
        return;
    }
    if (starts(line, length, "* STATUS ") || memcmp(conn->text, "* STATUS ", 9) != 0)
        snprintf(conn->text, sizeof conn->text, "%.*s", length < 2000 ? (int)length : 2000, line);
    if (i > 2)
        tally->expunge += starts(line + i, length - i, " EXPUNGE");
    else if (starts(line, length, "* STATUS "))
        tally->status++;
    else if (starts(line, length, "* SEARCH") || starts(line, length, "* SORT") ||
             starts(line, length, "* THREAD"))
        count_numbers(tally, line, length);
}

static void count_keyword(struct conn *conn, const char *line, size_t length)
{
    if (!conn->is_fetch || conn->keyword == NULL || conn->has_keyword)
        return;
    if (memmem(line, length, conn->keyword, strlen(conn->keyword)) != NULL) {
        conn->has_keyword = true;
        conn->tally.keyword++;
    }
}

static enum response tagged(struct conn *conn, const char *line, size_t length)
{
    char *end;
    char copy[32];
    snprintf(copy, sizeof copy, "%.*s", length < 31 ? (int)length : 31, line);
    uint64_t number = strtoull(copy + 1, &end, 10);
    if (copy[0] != 'T' || *end != ' ') {
        conn_fail(conn, "unexpected response: %.*s", length < 200 ? (int)length : 200, line);
        return RESPONSE_ERROR;
    }
    conn->done_tag = number;
    size_t at = (size_t)(end - copy) + 1;
    conn->done_ok = starts(line + at, length - at, "OK");
    if (!conn->done_ok)
        conn_fail(conn, "%.*s", length < 250 ? (int)length : 250, line);
    return RESPONSE_TAGGED;
}

/* One line, which begins a response or goes on after a literal. */
static enum response take_line(struct conn *conn, const char *line, size_t length)
{
    bool first = !conn->inside;
    if (first && length > 0 && line[0] == '*')
        count_untagged(conn, line, length);
    else if (first && length > 0 && line[0] == '+')
        return RESPONSE_CONTINUE;
    else if (first)
        return tagged(conn, line, length);
    count_keyword(conn, line, length);
    uint64_t size;
    if (line_literal(line, length, &size)) {
        conn->inside = true;
        conn->literal_left = size;
        conn->tally.literals++;
        conn->tally.literal_bytes += size;
        return RESPONSE_MORE;
    }
    conn->inside = false;
    return RESPONSE_UNTAGGED;
}

static void skip_literal(struct conn *conn)
{
    size_t have = conn->end - conn->start;
    size_t n = have < conn->literal_left ? have : (size_t)conn->literal_left;
    if (conn->want_crc)
        conn->tally.crc =
            (uint32_t)crc32(conn->tally.crc, (const Bytef *)conn->data + conn->start, (uInt)n);
    conn->start += n;
    conn->literal_left -= n;
}

enum response conn_next(struct conn *conn)
{
    for (;;) {
        if (conn->literal_left > 0)
            skip_literal(conn);
        if (conn->scanned < conn->start)
            conn->scanned = conn->start;
        if (conn->start == conn->end)
            return RESPONSE_MORE;
        char *line = conn->data + conn->start;
        char *end = memchr(conn->data + conn->scanned, '\n', conn->end - conn->scanned);
        conn->scanned = conn->end;
        if (end == NULL)
            return RESPONSE_MORE;
        conn->start = conn->scanned = (size_t)(end - conn->data) + 1;
        if (end == line || end[-1] != '\r') {
            conn_fail(conn, "a line does not end in CRLF");
            return RESPONSE_ERROR;
        }
        enum response response = take_line(conn, line, (size_t)(end - 1 - line));
        if (response != RESPONSE_MORE)
            return response;
    }
}

int conn_wait(struct conn *conn, enum response kind)
{
    for (;;) {
        enum response response = conn_next(conn);
        if (response == RESPONSE_ERROR || (response == RESPONSE_TAGGED && !conn->done_ok))
            return -1;
        if (response == kind)
            return 0;
        if (response == RESPONSE_TAGGED)
            return conn_fail(conn, "a tagged response where none was expected");
        if (response == RESPONSE_MORE && conn_receive(conn) < 0)
            return -1;
    }
}

int conn_command(struct conn *conn, const char *text)
{
    size_t size = strlen(text) + 32;
    char *line = malloc(size);
    if (line == NULL)
        return conn_fail(conn, "out of memory");
    uint64_t tag = conn->next_tag++;
    int length = snprintf(line, size, "T%llu %s\r\n", (unsigned long long)tag, text);
    int result = conn_send(conn, line, (size_t)length);
    free(line);
    if (result == 0)
        result = conn_wait(conn, RESPONSE_TAGGED);
    if (result == 0 && conn->done_tag != tag)
        result = conn_fail(conn, "wrong tag");
    return result;
}
