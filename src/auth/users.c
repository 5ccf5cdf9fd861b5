#include "auth/users.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/map.h"

enum { FILE_MAX = 256 << 20, NAME_MAX_LEN = 255, PASSWORD_MAX = 512 };

struct users {
    unsigned refs;
    struct buf text; /* of the file, with NULs behind names and secrets */
    struct map by_name;
    const char *dummy; /* the hash that unknown users are checked against; NULL: none */
};

bool user_name_valid(struct span name)
{
    if (!name.n || name.n > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    /* A strict enough look at UTF-8: lead bytes and their continuations. */
    for (size_t i = 0; i < name.n;) {
        unsigned char c = (unsigned char)name.p[i];
        size_t more = c < 0x80                ? 0
                      : c >= 0xc2 && c < 0xe0 ? 1
                      : c >= 0xe0 && c < 0xf0 ? 2
                      : c >= 0xf0 && c < 0xf5 ? 3
                                              : SIZE_MAX;
        if (more == SIZE_MAX || name.n - i <= more)
            return false;
        for (size_t k = 1; k <= more; k++)
            if (((unsigned char)name.p[i + k] & 0xc0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

bool secret_equal(struct span a, struct span b)
{
    unsigned char diff = a.n != b.n;
    for (size_t i = 0; i < a.n; i++)
        diff |= (unsigned char)a.p[i] ^ (b.n ? (unsigned char)b.p[i % b.n] : 1);
    return diff == 0;
}

/* Not a locked account ("!", "*", nothing). */
static bool can_match(struct span hash)
{
    return hash.n && hash.p[0] != '!' && hash.p[0] != '*';
}

/* One line; its secret is cut to the hash proper. */
static int add_line(struct users *u, char *line, size_t n, const char *file, unsigned number,
                    struct err *err)
{
    struct span l = span_trim(span_make(line, n));
    if (!l.n || l.p[0] == '#')
        return 0;
    size_t colon = span_find_byte(l, ':');
    if (colon == SPAN_NPOS || !user_name_valid(span_head(l, colon)))
        return err_set(err, ERR_INVALID, "%s:%u: not of the form name:password-hash", file, number);
    struct span name = span_head(l, colon), secret = span_skip(l, colon + 1);
    if (!span_starts(secret, SPAN("{PLAIN}"))) {
        secret = span_head(secret, span_find_byte(secret, ':'));
        if (span_starts(secret, SPAN("{CRYPT}")))
            secret = span_skip(secret, 7);
        if (!u->dummy && can_match(secret))
            u->dummy = secret.p;
    }
    line[(size_t)(secret.p - line) + secret.n] = '\0';
    if (map_get(&u->by_name, name))
        return err_set(err, ERR_INVALID, "%s:%u: user " SPAN_FMT " is there twice", file, number,
                       SPAN_ARG(name));
    map_put(&u->by_name, name, line + (secret.p - line));
    return 0;
}

static int parse(struct users *u, const char *file, struct err *err)
{
    unsigned number = 1;
    for (size_t at = 0; at < u->text.n; number++) {
        size_t n = span_find_byte(span_make(u->text.p + at, u->text.n - at), '\n');
        if (n == SPAN_NPOS)
            n = u->text.n - at;
        int r = add_line(u, u->text.p + at, n, file, number, err);
        if (r < 0)
            return r;
        at += n + 1;
    }
    return 0;
}

static int read_file(int fd, const char *file, struct buf *to, struct err *err)
{
    for (;;) {
        char *p = buf_reserve(to, 65536);
        if (!p)
            return err_set(err, ERR_LIMIT, "%s: too large", file);
        ssize_t n = read(fd, p, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, "%s", file);
        if (n == 0)
            return 0;
        buf_commit(to, (size_t)n);
    }
}

struct users *users_none(void)
{
    struct users *u = xnew(struct users);
    u->refs = 1;
    buf_init(&u->text, FILE_MAX);
    return u;
}

struct users *users_load(const char *file, struct err *err)
{
    autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set_errno(err, "%s", file);
        return NULL;
    }
    struct users *u = users_none();
    if (read_file(fd, file, &u->text, err) == 0 && parse(u, file, err) == 0)
        return u;
    users_unref(u);
    return NULL;
}

struct users *users_ref(struct users *u)
{
    u->refs++;
    return u;
}

void users_unref(struct users *u)
{
    if (!u || --u->refs)
        return;
    map_done(&u->by_name);
    if (u->text.p)
        explicit_bzero(u->text.p, u->text.n);
    buf_done(&u->text);
    free(u);
}

bool users_exists(const struct users *u, struct span name)
{
    return map_get(&u->by_name, name) != NULL;
}

size_t users_count(const struct users *u)
{
    return u->by_name.count;
}

static bool crypt_matches(const char *hash, const char *password)
{
    struct crypt_data *data = xnew(struct crypt_data);
    /* not crypt_r, which a sanitizer replaces by one that needs libcrypt loaded before it */
    const char *made = crypt_rn(password, hash, data, (int)sizeof(*data));
    bool equal = made && made[0] != '*' && secret_equal(span_str(made), span_str(hash));
    explicit_bzero(data, sizeof(*data));
    free(data);
    return equal;
}

bool users_check(const struct users *u, struct span name, struct span password)
{
    const char *secret = map_get(&u->by_name, name);
    struct span stored = secret ? span_str(secret) : SPAN_EMPTY;
    bool plain = span_starts(stored, SPAN("{PLAIN}"));
    bool hashed = secret && !plain && can_match(stored);
    const char *hash = hashed ? secret : u->dummy;
    bool hash_ok = false, plain_ok = false;
    if (password.n > PASSWORD_MAX || (password.n && memchr(password.p, '\0', password.n)))
        return false;
    if (hash) {
        char *text = span_dup(password);
        hash_ok = crypt_matches(hash, text);
        explicit_bzero(text, password.n);
        free(text);
    }
    if (plain)
        plain_ok = secret_equal(span_skip(stored, 7), password);
    return plain ? plain_ok : hashed && hash_ok;
}
