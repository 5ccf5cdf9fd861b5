/* Landlock: which files a process may reach, and that it makes no TCP connection of its own. Plain
 * system calls with our own names for their constants: Debian 12's headers are older than many a
 * kernel. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/logline.h"
#include "daemon/sandbox_int.h"

enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
enum { RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

/* Rights, by the Landlock ABI that brought them. */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE = 1 << 1,
    FS_READ = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_ABI_1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,    /* 2: rename and link between directories */
    FS_TRUNCATE = 1 << 14, /* 3 */
    FS_IOCTL_DEV = 1 << 15 /* 5 */
};
enum { NET_ALL = 3 /* 4: bind and connect */, SCOPE_ALL = 3 /* 6: abstract sockets, signals */ };

enum {
    READ = FS_READ | FS_READ_DIR,
    WRITE = READ | FS_WRITE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
            FS_REFER | FS_TRUNCATE,
    ON_FILES = FS_EXECUTE | FS_WRITE | FS_READ | FS_TRUNCATE | FS_IOCTL_DEV
};

struct ruleset {
    uint64_t handled_fs, handled_net, scoped;
};

struct path_rule {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

struct rules {
    int fd;
    uint64_t handled;
    struct err *err;
    int error;
};

/* What the C library reads when it feels like it: character set modules, time zones, random
 * bytes; and LMDB's environments are trusted only within one boot. */
static const char *const common[] = {"/usr/lib",
                                     "/usr/share",
                                     "/usr/local/lib",
                                     "/lib",
                                     "/lib64",
                                     "/etc/ld.so.cache",
                                     "/etc/localtime",
                                     "/dev/urandom",
                                     "/dev/null",
                                     "/proc/sys/kernel/random",
                                     "/proc/sys/vm/overcommit_memory",
                                     "/sys/devices/system/cpu"};
/* What resolvers, name services and PAM's modules read; /run also has their sockets. */
static const char *const systems[] = {"/etc", "/run", "/var/run", "/var/lib/sss", "/proc/self"};

static void allow(struct rules *r, const char *path, uint64_t rights)
{
    struct stat st;
    autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || r->error)
        return; /* what is not there need not be allowed */
    if (!S_ISDIR(st.st_mode))
        rights &= ON_FILES;
    struct path_rule rule = {.allowed = rights & r->handled, .parent_fd = fd};
    if (syscall(ADD_RULE, r->fd, RULE_PATH_BENEATH, &rule, 0) < 0)
        r->error = err_set_errno(r->err, "Landlock: %s", path);
}

/* Rules stick to inodes, and files are replaced by renaming: so it is their directory that may be
 * read, and of a symbolic link (certbot's) also the one that it leads to. */
static void allow_dir_of(struct rules *r, const char *file)
{
    char real[PATH_MAX];
    if (!*file)
        return;
    autofree char *name = xstrndup(file, strlen(file));
    char *slash = strrchr(name, '/');
    if (slash) {
        *(slash == name ? slash + 1 : slash) = '\0';
        allow(r, name, READ);
    }
    if (!realpath(file, real))
        return;
    *strrchr(real, '/') = '\0';
    if (real[0])
        allow(r, real, READ);
}

void sandbox_auth_needs(const struct conf *c, struct sandbox_needs *ret)
{
    (void)c;
    *ret = (struct sandbox_needs){0};
}

static void allow_auth(struct rules *r, const struct conf *c)
{
    struct sandbox_needs needs;
    sandbox_auth_needs(c, &needs);
    allow(r, "/etc/ssl", READ);
    allow_dir_of(r, c->auth_users_file);
    allow_dir_of(r, c->tls_certificate);
    allow_dir_of(r, c->tls_key);
    allow_dir_of(r, c->tls_client_ca);
    for (size_t i = 0; i < c->tls_certificates.count; i++)
        allow_dir_of(r, c->tls_certificates.items[i]);
    for (size_t i = 0; needs.system && i < ARRAY_LEN(systems); i++)
        allow(r, systems[i], READ);
}

static void allow_role(struct rules *r, enum role role, const struct conf *c)
{
    if (role == ROLE_AUTH || role == ROLE_MAIL)
        for (size_t i = 0; i < ARRAY_LEN(common); i++)
            allow(r, common[i], READ);
    if (role == ROLE_AUTH)
        allow_auth(r, c);
    if (role == ROLE_MAIL)
        allow(r, c->state_dir, WRITE);
    if (SANDBOX_SANITIZER)
        allow(r, "/", READ);
}

int sandbox_files(enum role role, const struct conf *c, bool *ret_done, struct err *err)
{
    struct sandbox_needs needs;
    struct ruleset set = {.handled_fs = FS_ABI_1};
    long abi = syscall(CREATE_RULESET, NULL, 0, RULESET_VERSION);
    *ret_done = false;
    if (abi < 2) /* without FS_REFER nothing could be renamed into another directory */
        return 0;
    sandbox_auth_needs(c, &needs);
    set.handled_fs |= FS_REFER | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
    if (abi >= 4 && !(role == ROLE_AUTH && needs.network))
        set.handled_net = NET_ALL;
    if (abi >= 6 && !SANDBOX_SANITIZER)
        set.scoped = SCOPE_ALL;
    size_t size = abi >= 6 ? sizeof(set) : abi >= 4 ? offsetof(struct ruleset, scoped) : 8;
    autoclose int fd = (int)syscall(CREATE_RULESET, &set, size, 0);
    if (fd < 0)
        return err_set_errno(err, "Landlock");
    struct rules r = {.fd = fd, .handled = set.handled_fs, .err = err};
    allow_role(&r, role, c);
    if (r.error)
        return r.error;
    if (syscall(RESTRICT_SELF, fd, 0) < 0)
        return err_set_errno(err, "Landlock");
    *ret_done = true;
    return 0;
}
