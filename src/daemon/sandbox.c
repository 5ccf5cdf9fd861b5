#include "daemon/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/logline.h"
#include "daemon/sandbox_int.h"

/* Users. */

enum { GROUPS_MAX = 64 };

struct user {
    const char *name;
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    int group_count;
};

static const char *user_of(enum role role, const struct conf *c)
{
    switch (role) {
    case ROLE_LOGIN:
        return c->process_login_user;
    case ROLE_AUTH:
        return c->process_auth_user;
    case ROLE_MAIL:
        return c->process_mail_user;
    default:
        return c->process_metrics_user;
    }
}

static bool find_user(const char *name, struct user *ret)
{
    const struct passwd *pw = getpwnam(name);
    if (!pw)
        return false;
    *ret = (struct user){.name = name, .uid = pw->pw_uid, .gid = pw->pw_gid};
    return true;
}

/* All of them, or the first that is missing. */
static const char *missing_user(const struct conf *c)
{
    const char *names[] = {c->process_login_user, c->process_auth_user, c->process_mail_user,
                           c->process_metrics_user};
    struct user u;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!find_user(names[i], &u))
            return names[i];
    return NULL;
}

/* Whether the processes change users: every process comes to the same answer, because what decides
 * is who owns the state directory. */
static int decide(const struct conf *c, bool *ret_drop, struct err *err)
{
    bool always = c->process_drop_privileges == CONF_DROP_ALWAYS;
    const char *missing;
    struct user mail;
    struct stat st;
    *ret_drop = false;
    if (geteuid() != 0 || c->process_drop_privileges == CONF_DROP_NEVER)
        return 0;
    missing = missing_user(c);
    if (missing)
        return always ? err_set(err, ERR_NOT_FOUND, "there is no user %s", missing) : 0;
    if (stat(c->state_dir, &st) < 0)
        return err_set_errno(err, "%s", c->state_dir);
    *ret_drop = find_user(c->process_mail_user, &mail) && st.st_uid == mail.uid;
    if (!*ret_drop && always)
        return err_set(err, ERR_DENIED, "%s does not belong to %s (chown -R %s: %s)", c->state_dir,
                       c->process_mail_user, c->process_mail_user, c->state_dir);
    return 0;
}

/* Name services need files: they are asked before those are taken away. */
static int resolve(enum role role, const struct conf *c, struct user *ret, struct err *err)
{
    const char *name = user_of(role, c);
    if (!find_user(name, ret))
        return err_set(err, ERR_NOT_FOUND, "there is no user %s", name);
    ret->group_count = GROUPS_MAX;
    /* Groups as an administrator may have given it (ssl-cert, shadow). */
    if (getgrouplist(name, ret->gid, ret->groups, &ret->group_count) < 0)
        return err_set(err, ERR_LIMIT, "%s is in more than %d groups", name, GROUPS_MAX);
    return 0;
}

static int become(const struct user *u, struct err *err)
{
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0); /* until set_capabilities */
    if (setgroups((size_t)u->group_count, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
        setresuid(u->uid, u->uid, u->uid) < 0)
        return err_set_errno(err, "becoming user %s", u->name);
    return 0;
}

/* The state directory, from the supervisor's side. */

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    bool empty = d != NULL;
    while (empty && (e = readdir(d)))
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (d)
        closedir(d);
    return empty;
}

/* Can that user reach what lies in the directories above? */
static bool reachable(const char *path, const struct user *u)
{
    autofree char *dir = realpath(path, NULL);
    struct stat st;
    for (char *slash; dir && (slash = strrchr(dir, '/')) && slash != dir;) {
        *slash = '\0';
        if (stat(dir, &st) < 0)
            return false;
        mode_t need = st.st_uid == u->uid ? S_IXUSR : st.st_gid == u->gid ? S_IXGRP : S_IXOTH;
        if (!(st.st_mode & need))
            return false;
    }
    return dir != NULL;
}

int sandbox_own_state(const struct conf *c, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
    bool drop, always = c->process_drop_privileges == CONF_DROP_ALWAYS;
    struct user mail;
    if (geteuid() == 0 && c->process_drop_privileges != CONF_DROP_NEVER && !missing_user(c) &&
        find_user(c->process_mail_user, &mail) && is_empty(c->state_dir) &&
        (always || reachable(c->state_dir, &mail)) && chown(c->state_dir, mail.uid, mail.gid) < 0)
        return err_set_errno(err, "%s", c->state_dir);
    int r = decide(c, &drop, err);
    if (r < 0)
        return r;
    *ret_uid = geteuid();
    *ret_gid = getegid();
    if (drop && find_user(c->process_mail_user, &mail)) {
        *ret_uid = mail.uid;
        *ret_gid = mail.gid;
    } else if (geteuid() == 0 && c->process_drop_privileges == CONF_DROP_AUTO) {
        const char *missing = missing_user(c);
        log_text(LOG_INFO, "root-without-users",
                 "%s%s: all processes stay root, without its rights",
                 missing ? missing : c->state_dir,
                 missing ? " does not exist" : " does not belong to process.mail_user");
    }
    return 0;
}

/* An empty root. A directory that is removed while one stands in it: nobody can ever put anything
 * into it. */
static int empty_root(const struct conf *c, struct err *err)
{
    autobuf path = BUF_INIT(4096);
    buf_printf(&path, "%s/empty-XXXXXX", c->state_dir);
    if (!buf_ok(&path) || !mkdtemp(path.p))
        return err_set_errno(err, "an empty directory in %s", c->state_dir);
    autoclose int fd = open(path.p, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
    if (rmdir(path.p) < 0 || fd < 0 || fchdir(fd) < 0 || chroot(".") < 0)
        return err_set_errno(err, "chroot to %s", path.p);
    return 0;
}

/* Capabilities: none, or one. */
static int set_capabilities(int only, struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    for (int cap = 0; geteuid() == 0 && cap < 64; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (only >= 0)
        data[only / 32].effective = data[only / 32].permitted = 1u << only % 32;
    if (syscall(SYS_capset, &header, data) < 0)
        return err_set_errno(err, "capset");
    return 0;
}

static void limit(int what, rlim_t n)
{
    struct rlimit l = {n, n};
    setrlimit((__rlimit_resource_t)what, &l);
}

static unsigned thread_count(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/task");
    const struct dirent *e;
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* What is in memory is other people's secrets and mail: no core dumps, and no other process of the
 * same user may look at it (the leak check of a sanitizer is one). */
static void hide_memory(void)
{
    limit(RLIMIT_CORE, 0);
    if (!SANDBOX_SANITIZER)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int take_away(enum role role, const struct conf *c, const struct user *u, bool root,
                     struct err *err)
{
    bool files = role == ROLE_AUTH || role == ROLE_MAIL, landlock;
    int r = 0;
    if (root && !files && !SANDBOX_SANITIZER)
        r = empty_root(c, err);
    if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r = err_set_errno(err, "no_new_privs");
    if (r == 0)
        r = sandbox_files(role, c, &landlock, err);
    if (r == 0 && u)
        r = become(u, err);
    /* The key of a certificate is often readable by root alone, and is read again on SIGHUP: auth
     * may go on reading what Landlock leaves it, whoever that belongs to. */
    if (r == 0)
        r = set_capabilities(root && role == ROLE_AUTH && landlock ? CAP_DAC_READ_SEARCH : -1, err);
    if (r == 0)
        hide_memory();
    if (r == 0 && !landlock)
        log_text(LOG_WARNING, "no-landlock", "this kernel does not confine files");
    return r;
}

/* When the C library first shrinks the heap of threads it looks into /proc whether it may. Which it
 * had better do now: later it would fail, harmlessly, but look like an attack. */
static void *shrink_heap(void *arg)
{
    enum { BLOCKS = 8, BLOCK_SIZE = 100 * 1024 }; /* small enough not to be mapped by themselves */
    void *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        block[i] = xmalloc(BLOCK_SIZE);
    for (int i = BLOCKS; i-- > 0;)
        free(block[i]);
    return arg;
}

static void settle_heap(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, shrink_heap, NULL) == 0)
        pthread_join(thread, NULL);
}

int sandbox_confine(enum role role, const struct conf *c, struct err *err)
{
    bool root = geteuid() == 0, drop;
    struct user u;
    int r = decide(c, &drop, err);
    if (r == 0 && drop)
        r = resolve(role, c, &u, err);
    if (r < 0)
        return r;
    invariant(SANDBOX_SANITIZER || thread_count() <= 1);
    tzset(); /* reads a file; the first log line would */
    settle_heap();
    if (c->process_sandbox == CONF_SANDBOX_ON)
        return take_away(role, c, drop ? &u : NULL, root, err);
    return drop ? become(&u, err) : 0;
}
