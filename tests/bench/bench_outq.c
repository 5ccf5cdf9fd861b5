/* How messages get from a file to a socket most cheaply: usage: bench_outq FILE SIZE [unix]
 *
 * Sends the whole FILE (made by the caller, 217 MB say) as messages of SIZE bytes, each behind a
 * short line as FETCH sends it, to a child that throws them away, in three ways, and prints the CPU
 * time of the sender: sendfile for each; pread into one buffer of 64 KiB; the output queue of
 * src/io, which chooses between the two by COPY_BELOW. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/outq.h"

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void tcp_pair(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    check(bind(l, (struct sockaddr *)&a, n) == 0 && listen(l, 1) == 0, "listen");
    getsockname(l, (struct sockaddr *)&a, &n);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fds[0], (struct sockaddr *)&a, n) == 0, "connect");
    fds[1] = accept(l, NULL, NULL);
    setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    close(l);
}

static void wait_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    poll(&p, 1, -1);
}

static void send_all(int fd, const char *p, size_t n, int flags)
{
    while (n) {
        ssize_t r = send(fd, p, n, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r < 0) {
            check(errno == EAGAIN, "send");
            wait_writable(fd);
            continue;
        }
        p += r;
        n -= (size_t)r;
    }
}

static void by_sendfile(int sock, int file, size_t count, size_t size)
{
    off_t off = 0;
    for (size_t i = 0; i < count; i++) {
        char line[64];
        int n = snprintf(line, sizeof(line), "* %zu FETCH (BODY[] {%zu}\r\n", i, size);
        send_all(sock, line, (size_t)n, MSG_MORE);
        for (size_t left = size; left;) {
            ssize_t r = sendfile(sock, file, &off, left);
            if (r < 0) {
                check(errno == EAGAIN, "sendfile");
                wait_writable(sock);
                continue;
            }
            left -= (size_t)r;
        }
    }
}

static void by_pread(int sock, int file, size_t count, size_t size)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&b, "* %zu FETCH (BODY[] {%zu}\r\n", i, size);
        char *to = buf_reserve(&b, size);
        check(pread(file, to, size, (off_t)(i * size)) == (ssize_t)size, "pread");
        buf_commit(&b, size);
        if (b.n >= 64 * 1024) {
            send_all(sock, b.p, b.n, 0);
            buf_reset(&b);
        }
    }
    send_all(sock, b.p, b.n, 0);
}

static void by_queue(int sock, int file, size_t count, size_t size)
{
    struct outq q;
    int r = 0;
    outq_init(&q);
    for (size_t i = 0; i < count || r < 0;) {
        while (i < count && !outq_full(&q)) {
            buf_printf(outq_begin(&q), "* %zu FETCH (BODY[] {%zu}\r\n", i, size);
            outq_end(&q);
            outq_put_file(&q, file, i++ * size, size, NULL, NULL);
        }
        r = outq_send(&q, sock, 1 << 20, NULL);
        check(r == 0 || r == ERR_AGAIN || r == ERR_LIMIT, "outq_send");
        if (r == ERR_AGAIN)
            wait_writable(sock);
    }
    outq_done(&q);
}

static void measure(const char *name, bool local, int file, size_t count, size_t size,
                    void (*fn)(int sock, int file, size_t count, size_t size))
{
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        int fds[2];
        if (local)
            check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
        else
            tcp_pair(fds);
        if (fork() == 0) {
            static char sink[256 * 1024];
            close(fds[1]);
            while (recv(fds[0], sink, sizeof(sink), 0) > 0)
                continue;
            _exit(0);
        }
        close(fds[0]);
        fcntl(fds[1], F_SETFL, O_NONBLOCK);
        double begin = cpu_ms();
        fn(fds[1], file, count, size);
        best = MIN(best, cpu_ms() - begin);
        close(fds[1]);
        wait(NULL);
    }
    printf("%-10s %8.1f ms CPU (best of 5)\n", name, best);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: bench_outq FILE SIZE [unix]\n", stderr);
        return 2;
    }
    struct stat st;
    uint64_t size;
    int file = open(argv[1], O_RDONLY);
    check(file >= 0 && fstat(file, &st) == 0, argv[1]);
    if (!span_to_u64(span_str(argv[2]), 1 << 30, &size) || !size)
        return 2;
    size_t count = (size_t)st.st_size / (size_t)size;
    printf("%zu messages of %zu bytes\n", count, (size_t)size);
    measure("sendfile", argc > 3, file, count, (size_t)size, by_sendfile);
    measure("pread", argc > 3, file, count, (size_t)size, by_pread);
    measure("queue", argc > 3, file, count, (size_t)size, by_queue);
    return 0;
}
