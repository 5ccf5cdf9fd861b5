/* Which system calls a role may make: tables, and what happens with all others.
 *
 *     in a table of the role      allowed, if its arguments are as the table says
 *     in `forbidden`              EPERM, by way of a SIGSYS handler that notes the call for the log
 *                                   (Martlet never makes them: somebody else is at work, or a bug)
 *     anything else               ENOSYS and a line in the kernel's log: what a newer C library or
 *                                   kernel brings is tried by libraries, which then do without it
 *     of another architecture     the process is killed
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <ucontext.h>

#include "daemon/sandbox_int.h"

#define CALL(name) SCMP_SYS(name)

/* Memory, time, threads that exist, descriptors that are there: what every process does. */
static const int basic[] = {
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(close),
    CALL(close_range),
    CALL(dup),
    CALL(dup3),
    CALL(poll),
    CALL(ppoll),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(epoll_ctl),
    CALL(epoll_create1),
    CALL(eventfd2),
    CALL(pipe2),
    CALL(brk),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(futex),
    CALL(set_robust_list),
    CALL(rseq),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(membarrier),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(getrandom),
    CALL(getpid),
    CALL(gettid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(uname),
    CALL(getrusage),
    CALL(sysinfo),
    CALL(getrlimit),
    CALL(getcpu),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(exit),
    CALL(exit_group),
    CALL(lseek),
    CALL(fstat),
};

/* Connections that others have made, and descriptors that others send. */
static const int given_network[] = {
    CALL(accept4),  CALL(accept),      CALL(recvmsg),     CALL(recvfrom),
    CALL(sendmsg),  CALL(sendto),      CALL(sendmmsg),    CALL(recvmmsg),
    CALL(shutdown), CALL(getsockname), CALL(getpeername), CALL(getsockopt),
};

/* Reading files; which ones is for Landlock to say. */
static const int read_files[] = {
    CALL(open),       CALL(openat),   CALL(newfstatat), CALL(stat),       CALL(lstat),
    CALL(statx),      CALL(statfs),   CALL(fstatfs),    CALL(access),     CALL(faccessat),
    CALL(faccessat2), CALL(readlink), CALL(readlinkat), CALL(getdents64), CALL(pread64),
    CALL(preadv),     CALL(preadv2),  CALL(fadvise64),  CALL(readahead),  CALL(getcwd),
    CALL(flock),
};

/* The store. */
static const int write_files[] = {
    CALL(pwrite64), CALL(pwritev),   CALL(pwritev2),        CALL(ftruncate), CALL(fallocate),
    CALL(fsync),    CALL(fdatasync), CALL(sync_file_range), CALL(msync),     CALL(copy_file_range),
    CALL(sendfile), CALL(splice),    CALL(memfd_create),    CALL(mkdir),     CALL(mkdirat),
    CALL(rmdir),    CALL(rename),    CALL(renameat),        CALL(renameat2), CALL(unlink),
    CALL(unlinkat), CALL(link),      CALL(linkat),          CALL(fchmod),    CALL(fchmodat),
    CALL(chmod),    CALL(utimensat), CALL(umask),
};

/* SQLite gives what it makes to the database's owner, where it is root. */
static const int database[] = {CALL(fchown)};

/* Connections of one's own, as auth needs them for LDAP, SQL and OAuth 2. */
static const int own_network[] = {
    CALL(connect), CALL(bind), CALL(setsockopt), CALL(select), CALL(pselect6),
};

/* Everything that an attacker would like. */
static const int forbidden[] = {
    CALL(open),
    CALL(openat),
    CALL(openat2),
    CALL(creat),
    CALL(socket),
    CALL(connect),
    CALL(bind),
    CALL(listen),
    CALL(execve),
    CALL(execveat),
    CALL(fork),
    CALL(vfork),
    CALL(kill),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(process_madvise),
    CALL(kcmp),
    CALL(pidfd_open),
    CALL(pidfd_getfd),
    CALL(pidfd_send_signal),
    CALL(tkill),
    CALL(rt_sigqueueinfo),
    CALL(rt_tgsigqueueinfo),
    CALL(unlink),
    CALL(unlinkat),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(mkdir),
    CALL(mkdirat),
    CALL(rmdir),
    CALL(link),
    CALL(linkat),
    CALL(symlink),
    CALL(symlinkat),
    CALL(mknod),
    CALL(mknodat),
    CALL(chmod),
    CALL(fchmod),
    CALL(fchmodat),
    CALL(chown),
    CALL(fchown),
    CALL(lchown),
    CALL(fchownat),
    CALL(truncate),
    CALL(name_to_handle_at),
    CALL(open_by_handle_at),
    CALL(mount),
    CALL(umount2),
    CALL(open_tree),
    CALL(move_mount),
    CALL(fsopen),
    CALL(mount_setattr),
    CALL(pivot_root),
    CALL(chroot),
    CALL(setns),
    CALL(unshare),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(io_uring_setup),
    CALL(io_uring_enter),
    CALL(io_uring_register),
    CALL(add_key),
    CALL(request_key),
    CALL(keyctl),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(setuid),
    CALL(setgid),
    CALL(setreuid),
    CALL(setregid),
    CALL(setresuid),
    CALL(setresgid),
    CALL(setgroups),
    CALL(setfsuid),
    CALL(setfsgid),
    CALL(capset),
    CALL(personality),
    CALL(acct),
    CALL(swapon),
    CALL(swapoff),
    CALL(reboot),
    CALL(settimeofday),
    CALL(clock_settime),
    CALL(adjtimex),
    CALL(clock_adjtime),
    CALL(sethostname),
    CALL(setdomainname),
    CALL(iopl),
    CALL(ioperm),
    CALL(modify_ldt),
    CALL(quotactl),
    CALL(fanotify_init),
    CALL(inotify_init1),
    CALL(shmget),
    CALL(shmat),
    CALL(msgget),
    CALL(semget),
    CALL(mq_open),
    CALL(seccomp),
    CALL(syslog),
    CALL(vhangup),
    CALL(lookup_dcookie),
    CALL(setpriority),
    CALL(sched_setscheduler),
    CALL(sched_setparam),
    CALL(sched_setattr),
};

/* What sanitizers do in the middle of a process and at its end (sandbox_int.h). */
static const int sanitizer[] = {
    CALL(open),       CALL(openat),     CALL(newfstatat), CALL(stat),       CALL(lstat),
    CALL(readlink),   CALL(readlinkat), CALL(getdents),   CALL(getdents64), CALL(pread64),
    CALL(access),     CALL(clone),      CALL(ptrace),     CALL(wait4),      CALL(kill),
    CALL(pipe),       CALL(mmap),       CALL(mprotect),   CALL(prlimit64),  CALL(prctl),
    CALL(arch_prctl), CALL(setrlimit),  CALL(tgkill),     CALL(getcwd),     CALL(process_vm_readv),
};

/* Calls that are allowed with some arguments only: the bits of `mask` must be `value`. */
struct with {
    int call;
    unsigned arg;
    uint64_t mask, value;
};
#define WHOLE   (~UINT64_C(0))
#define INT     UINT64_C(0xffffffff) /* the kernel looks at no more of an int */
#define THREADS UINT64_C(0x00010000) /* CLONE_THREAD */

static const struct with no_new_code[] = {
    {CALL(mmap), 2, PROT_EXEC, 0},
    {CALL(mprotect), 2, PROT_EXEC, 0},
};
static const struct with descriptors[] = {
    {CALL(fcntl), 1, INT, F_DUPFD_CLOEXEC}, {CALL(fcntl), 1, INT, F_GETFD},
    {CALL(fcntl), 1, INT, F_SETFD},         {CALL(fcntl), 1, INT, F_GETFL},
    {CALL(fcntl), 1, INT, F_SETFL},         {CALL(ioctl), 1, INT, FIONBIO},
    {CALL(ioctl), 1, INT, FIONREAD},        {CALL(ioctl), 1, INT, FIOCLEX},
    {CALL(ioctl), 1, INT, TCGETS},          {CALL(ioctl), 1, INT, TIOCOUTQ},
    {CALL(prctl), 0, INT, PR_SET_NAME},     {CALL(prlimit64), 2, WHOLE, 0},
    {CALL(socketpair), 0, INT, AF_UNIX},
};
static const struct with file_locks[] = {
    {CALL(fcntl), 1, INT, F_SETLK},      {CALL(fcntl), 1, INT, F_SETLKW},
    {CALL(fcntl), 1, INT, F_GETLK},      {CALL(fcntl), 1, INT, F_OFD_SETLK},
    {CALL(fcntl), 1, INT, F_OFD_SETLKW}, {CALL(fcntl), 1, INT, F_OFD_GETLK},
};
static const struct with own_sockets[] = {
    {CALL(socket), 0, INT, AF_UNIX},
    {CALL(socket), 0, INT, AF_INET},
    {CALL(socket), 0, INT, AF_INET6},
    {CALL(socket), 0, INT, AF_NETLINK}, /* getaddrinfo asks which addresses there are */
};
static const int socket_options[][2] = {
    {IPPROTO_TCP, TCP_NODELAY},       {IPPROTO_TCP, TCP_QUICKACK},     {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT}, {IPPROTO_TCP, TCP_USER_TIMEOUT}, {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},     {IPPROTO_TCP, TCP_KEEPCNT},      {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_SNDBUF},          {SOL_SOCKET, SO_RCVBUF},         {SOL_SOCKET, SO_LINGER},
};

/* Violations: the handler, which may run in any thread and in the middle of anything, puts the
 * number of the call into a pipe; the loop reads and reports it. */

static int violation_pipe[2] = {-1, -1};

static void on_sigsys(int signum, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    int saved = errno, call = info->si_syscall;
    (void)signum;
    ssize_t n = write(violation_pipe[1], &call, sizeof(call));
    (void)n; /* full: there are enough reports */
#if defined(__x86_64__)
    u->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
    u->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#else
    (void)u;
#endif
    errno = saved;
}

/* On machines for which the handler does not know where results go. */
#if defined(__x86_64__) || defined(__aarch64__)
#define FORBID SCMP_ACT_TRAP
#else
#define FORBID SCMP_ACT_ERRNO(EPERM)
#endif

int sandbox_violation_fd(void)
{
    return violation_pipe[0];
}

const char *sandbox_violation(void)
{
    static char name[64];
    int call;
    if (read(violation_pipe[0], &call, sizeof(call)) != sizeof(call))
        return NULL;
    autofree char *found = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
    snprintf(name, sizeof(name), "%s", found ? found : "unknown");
    return name;
}

static int watch_violations(struct err *err)
{
    struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (pipe2(violation_pipe, O_CLOEXEC | O_NONBLOCK) < 0 || sigaction(SIGSYS, &action, NULL) < 0)
        return err_set_errno(err, "SIGSYS");
    return 0;
}

/* Building a filter. */

struct filter {
    scmp_filter_ctx ctx;
    int error;         /* the first */
    bool whole[1024];  /* calls that are allowed whatever their arguments ... */
    bool partly[1024]; /* ... or with some: no rule for all others is possible beside them */
};

static void note(struct filter *f, int r)
{
    if (r < 0 && r != -EEXIST && !f->error)
        f->error = r;
}

static void allow(struct filter *f, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (calls[i] < 0 || calls[i] >= (int)ARRAY_LEN(f->whole)) /* not on this machine */
            continue;
        f->whole[calls[i]] = true;
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, calls[i], 0));
    }
}

static bool is_whole(const struct filter *f, int call)
{
    return call < 0 || call >= (int)ARRAY_LEN(f->whole) || f->whole[call];
}

static void add_with(struct filter *f, uint32_t action, int call, unsigned arg, uint64_t mask,
                     uint64_t value)
{
    if (is_whole(f, call))
        return;
    f->partly[call] = true;
    note(f,
         seccomp_rule_add(f->ctx, action, call, 1, SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value)));
}

static void allow_with(struct filter *f, const struct with *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_with(f, SCMP_ACT_ALLOW, w[i].call, w[i].arg, w[i].mask, w[i].value);
}

static void forbid(struct filter *f, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_whole(f, calls[i]) && !f->partly[calls[i]])
            note(f, seccomp_rule_add(f->ctx, FORBID, calls[i], 0));
}

static void allow_socket_options(struct filter *f)
{
    for (size_t i = 0; i < ARRAY_LEN(socket_options); i++)
        if (!is_whole(f, CALL(setsockopt)))
            note(f, seccomp_rule_add(
                        f->ctx, SCMP_ACT_ALLOW, CALL(setsockopt), 2,
                        SCMP_CMP(1, SCMP_CMP_MASKED_EQ, INT, (uint64_t)socket_options[i][0]),
                        SCMP_CMP(2, SCMP_CMP_MASKED_EQ, INT, (uint64_t)socket_options[i][1])));
}

/* Code is what the program brought. Character set modules (mail) and those of name services, PAM
 * and OpenSSL (auth) are loaded when they are needed, and come from where Landlock allows it. */
static void allow_memory(struct filter *f, bool new_code)
{
    static const int code[] = {CALL(mmap), CALL(mprotect)};
    if (new_code) {
        allow(f, code, ARRAY_LEN(code));
        return;
    }
    allow_with(f, no_new_code, ARRAY_LEN(no_new_code));
    for (size_t i = 0; i < ARRAY_LEN(code); i++)
        add_with(f, FORBID, code[i], 2, PROT_EXEC, PROT_EXEC);
}

/* A process is never made. Threads are by login and auth, which start workers when there is work
 * (auth's libraries too); mail's are there before. */
static void allow_threads(struct filter *f, bool more)
{
    static const int any[] = {CALL(clone3)}; /* see deny_clone3 */
    uint64_t self = (uint64_t)getpid();
    add_with(f, more ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAGAIN), CALL(clone), 0, THREADS, THREADS);
    add_with(f, FORBID, CALL(clone), 0, THREADS, 0);
    allow(f, any, ARRAY_LEN(any));
    add_with(f, SCMP_ACT_ALLOW, CALL(tgkill), 0, INT, self); /* abort, and the C library's own */
    if (!is_whole(f, CALL(tgkill)))
        note(f, seccomp_rule_add(f->ctx, FORBID, CALL(tgkill), 1, SCMP_A0_32(SCMP_CMP_NE, self)));
}

#define GROUP(f, table)      allow((f), table, ARRAY_LEN(table))
#define GROUP_WITH(f, table) allow_with((f), table, ARRAY_LEN(table))

static void fill(struct filter *f, enum role role, const struct conf *c)
{
    struct sandbox_needs needs;
    bool files = role == ROLE_AUTH || role == ROLE_MAIL;
    sandbox_auth_needs(c, &needs);
    if (SANDBOX_SANITIZER)
        GROUP(f, sanitizer);
    GROUP(f, basic);
    GROUP(f, given_network);
    if (files)
        GROUP(f, read_files);
    if (role == ROLE_MAIL || (role == ROLE_AUTH && needs.database))
        GROUP(f, write_files);
    if (role == ROLE_AUTH && needs.database)
        GROUP(f, database);
    if (role == ROLE_AUTH && needs.network) {
        GROUP(f, own_network);
        GROUP_WITH(f, own_sockets);
    }
    GROUP_WITH(f, descriptors);
    if (files)
        GROUP_WITH(f, file_locks);
    allow_socket_options(f);
    allow_memory(f, files);
    allow_threads(f, role == ROLE_AUTH || role == ROLE_LOGIN);
    forbid(f, forbidden, ARRAY_LEN(forbidden));
}

static int load(scmp_filter_ctx ctx)
{
    int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    return r == 0 ? seccomp_load(ctx) : r;
}

/* The arguments of clone3 are in memory, out of a filter's sight. Without it the C library makes
 * threads by clone. A filter of its own, so that this is not in the kernel's log each time. */
static int deny_clone3(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int r = ctx ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0) : -ENOMEM;
    if (r == 0)
        r = load(ctx);
    seccomp_release(ctx);
    return r;
}

int sandbox_filter(enum role role, const struct conf *c, struct err *err)
{
    static const struct rlimit none = {0, 0};
    static struct filter f;
    if (c->process_sandbox != CONF_SANDBOX_ON)
        return 0;
    int r = watch_violations(err);
    if (r < 0)
        return r;
    if ((role == ROLE_MAIL || role == ROLE_METRICS) && !SANDBOX_SANITIZER)
        setrlimit(RLIMIT_NPROC, &none);
    f.ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!f.ctx)
        return err_set(err, ERR_IO, "seccomp: no filter");
    fill(&f, role, c);
    note(&f, seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_LOG, 1));
    note(&f, seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
    if (!f.error)
        f.error = deny_clone3();
    if (!f.error)
        f.error = load(f.ctx);
    seccomp_release(f.ctx);
    errno = -f.error;
    return f.error ? err_set_errno(err, "seccomp") : 0;
}
