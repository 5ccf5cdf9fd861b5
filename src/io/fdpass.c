#include "io/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

union control {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
    struct cmsghdr align;
};

int fdpass_send(int sock, struct span packet, int fd)
{
    struct iovec iov = {(void *)(uintptr_t)packet.p, packet.n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control;
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int));
        struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cm), &fd, sizeof(int));
    }
    ssize_t n;
    do {
        n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS: /* too many descriptors are in flight already */
        return ERR_AGAIN;
    case EMSGSIZE:
        return ERR_LIMIT;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}

/* Takes the first descriptor, closes any others. */
static int take_descriptors(struct msghdr *msg, int *ret_fd)
{
    int fd = -1, count = 0;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++, count++) {
            int got;
            memcpy(&got, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
            if (count == 0)
                fd = got;
            else
                close(got);
        }
    }
    *ret_fd = fd;
    return count;
}

int fdpass_recv(int sock, void *p, size_t cap, size_t *ret_n, int *ret_fd)
{
    struct iovec iov = {p, cap};
    union control control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t n;
    do {
        n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ERR_AGAIN : errno == ECONNRESET ? ERR_CLOSED : ERR_IO;
    int fd, count = take_descriptors(&msg, &fd);
    bool lost = count == 0 && (msg.msg_flags & MSG_CTRUNC); /* EMFILE, ENFILE */
    if (count > 1 || (msg.msg_flags & MSG_TRUNC) || (msg.msg_flags & MSG_CTRUNC && !lost)) {
        if (fd >= 0)
            close(fd);
        return ERR_INVALID;
    }
    if (n == 0 && count == 0 && !lost)
        return ERR_CLOSED; /* no packet of ours is empty */
    *ret_n = (size_t)n;
    *ret_fd = lost ? FDPASS_LOST : fd;
    return 0;
}

static int pair(int type, int ret_fds[2], struct err *err)
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
        return err_set_errno(err, "socketpair");
    return 0;
}

int fdpass_pair_stream(int ret_fds[2], struct err *err)
{
    return pair(SOCK_STREAM, ret_fds, err);
}

int fdpass_pair_packet(int ret_fds[2], struct err *err)
{
    return pair(SOCK_SEQPACKET, ret_fds, err);
}

int fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return ERR_IO;
    return 0;
}
