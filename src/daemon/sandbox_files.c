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
                                     "/etc/ssl/openssl.cnf",
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

/* Directories that auth reads files in, one a line. Rules stick to inodes, and files are replaced
 * by renaming: so it is their directory that may be read, and of a symbolic link (certbot's) also
 * the one that it leads to. */
static void put_dir(struct buf *dirs, const char *file)
{
    const char *slash = strrchr(file, '/');
    buf_put(dirs, file, slash == file ? 1 : (size_t)(slash - file));
    buf_put_byte(dirs, '\n');
}

static bool is_url(const char *text)
{
    return strstr(text, "://") != NULL;
}

static void put_dir_of(struct buf *dirs, const char *file)
{
    char real[PATH_MAX];
    autobuf absolute = BUF_INIT(BUF_UNLIMITED);
    if (!*file || is_url(file))
        return;
    if (file[0] != '/' && getcwd(real, sizeof(real)))
        buf_printf(&absolute, "%s/", real);
    buf_put_str(&absolute, file);
    if (absolute.p[0] == '/')
        put_dir(dirs, absolute.p);
    if (realpath(file, real))
        put_dir(dirs, real);
}

static void put_auth_dirs(struct buf *dirs, const struct conf *c)
{
    const char *files[] = {c->auth_users_file,     c->auth_app_passwords_file,
                           c->tls_certificate,     c->tls_key,
                           c->tls_client_ca,       c->auth_ldap_ca_file,
                           c->auth_oauth2_ca_file, c->auth_oauth2_keys};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        put_dir_of(dirs, files[i]);
    for (size_t i = 0; i < c->tls_certificates.count; i++)
        put_dir_of(dirs, c->tls_certificates.items[i]);
}

void sandbox_auth_needs(const struct conf *c, struct sandbox_needs *ret)
{
    *ret = (struct sandbox_needs){0};
    for (size_t i = 0; i < c->auth_directories.count; i++) {
        struct span d = span_str(c->auth_directories.items[i]);
        bool sql = span_eq(d, SPAN("sql")), sqlite = c->auth_sql_driver == CONF_SQL_SQLITE;
        if (span_eq(d, SPAN("pam")) || span_eq(d, SPAN("ldap")) || (sql && !sqlite) ||
            (span_eq(d, SPAN("oauth2")) &&
             (is_url(c->auth_oauth2_keys) || *c->auth_oauth2_introspection_url)))
            ret->network = ret->system = true;
        if (sql && sqlite)
            ret->database = true;
    }
}

static struct buf granted = BUF_INIT(BUF_UNLIMITED); /* put_auth_dirs at the start */
static struct sandbox_needs granted_needs;

bool sandbox_fits(enum role role, const struct conf *c)
{
    struct sandbox_needs needs;
    autobuf dirs = BUF_INIT(BUF_UNLIMITED);
    struct span rest, line, known, other;
    if (role != ROLE_AUTH || c->process_sandbox != CONF_SANDBOX_ON)
        return true;
    sandbox_auth_needs(c, &needs);
    if (needs.network > granted_needs.network || needs.system > granted_needs.system ||
        needs.database > granted_needs.database)
        return false;
    put_auth_dirs(&dirs, c);
    for (rest = buf_span(&dirs); span_split(&rest, '\n', &line);) {
        bool found = !line.n;
        for (known = buf_span(&granted); !found && span_split(&known, '\n', &other);)
            found = span_eq(line, other);
        if (!found)
            return false;
    }
    return true;
}

static void allow_auth(struct rules *r, const struct conf *c)
{
    struct span rest, line;
    sandbox_auth_needs(c, &granted_needs);
    buf_reset(&granted);
    put_auth_dirs(&granted, c);
    allow(r, "/etc/ssl/certs", READ);
    for (rest = buf_span(&granted); span_split(&rest, '\n', &line);) {
        autofree char *dir = span_dup(line);
        allow(r, dir, READ);
    }
    for (size_t i = 0; granted_needs.system && i < ARRAY_LEN(systems); i++)
        allow(r, systems[i], READ);
    if (granted_needs.database) { /* SQLite writes its log and index beside the file, to read it */
        autobuf dir = BUF_INIT(BUF_UNLIMITED);
        put_dir_of(&dir, c->auth_sql_database);
        for (rest = buf_span(&dir); span_split(&rest, '\n', &line);) {
            autofree char *path = span_dup(line);
            allow(r, path, READ | FS_WRITE | FS_MAKE_REG | FS_REMOVE_FILE | FS_TRUNCATE);
        }
    }
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
