#include "auth/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "auth/precis.h"
#include "auth/users_int.h"
#include "base/map.h"
#include "base/utf8.h"

enum { FILE_MAX = 256 << 20, NAME_MAX_LEN = 255 };

struct users {
    atomic_uint refs;
    bool keep_case;
    struct buf text;    /* of the file, with NULs behind the secrets */
    struct map by_name; /* to the secrets */
    struct password_examples *examples;
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
    return utf8_valid(name);
}

bool users_line_split(struct span line, struct span *ret_name, struct span *ret_secrets)
{
    struct span l = span_trim(line);
    size_t colon = span_find_byte(l, ':');
    if (!l.n || l.p[0] == '#' || colon == SPAN_NPOS)
        return false;
    struct span rest = span_skip(l, colon + 1);
    size_t end = span_find_byte(rest, ':'), plain = span_find(rest, SPAN("{PLAIN}"));
    bool begins =
        plain != SPAN_NPOS && (plain == 0 || rest.p[plain - 1] == ' ' || rest.p[plain - 1] == '!');
    *ret_name = span_head(l, colon);
    *ret_secrets = begins && plain < end ? rest : span_head(rest, end);
    return true;
}

static int add_line(struct users *u, struct span line, const char *file, unsigned number,
                    struct err *err)
{
    struct span l = span_trim(line), name, secrets;
    struct err why;
    autobuf prepared = BUF_INIT(NAME_MAX_LEN);
    if (!l.n || l.p[0] == '#')
        return 0;
    if (!users_line_split(line, &name, &secrets) || !user_name_valid(name))
        return err_set(err, ERR_INVALID, "%s:%u: not of the form name:password-hash", file, number);
    if (precis_username(name, u->keep_case, &prepared) < 0)
        return err_set(err, ERR_INVALID, "%s:%u: " SPAN_FMT " is not a user name (RFC 8265)", file,
                       number, SPAN_ARG(name));
    name = buf_span(&prepared);
    if (password_secrets_valid(secrets, &why) < 0)
        return err_set(err, ERR_INVALID, "%s:%u: %s", file, number, why.text);
    if (map_get(&u->by_name, name))
        return err_set(err, ERR_INVALID, "%s:%u: user " SPAN_FMT " is there twice", file, number,
                       SPAN_ARG(name));
    password_examples_learn(u->examples, secrets);
    char *at = u->text.p + (secrets.p - u->text.p);
    at[secrets.n] = '\0';
    map_put(&u->by_name, name, at);
    return 0;
}

static int parse(struct users *u, const char *file, struct err *err)
{
    unsigned number = 1;
    for (size_t at = 0; at < u->text.n; number++) {
        size_t n = span_find_byte(span_make(u->text.p + at, u->text.n - at), '\n');
        if (n == SPAN_NPOS)
            n = u->text.n - at;
        int r = add_line(u, span_make(u->text.p + at, n), file, number, err);
        if (r < 0)
            return r;
        at += n + 1;
    }
    return 0;
}

int users_read_file(const char *file, struct buf *to, struct err *err)
{
    autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s: no such file", file)
                               : err_set_errno(err, "%s", file);
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
    atomic_init(&u->refs, 1);
    u->examples = password_examples_new(false);
    buf_init(&u->text, FILE_MAX);
    return u;
}

struct users *users_load(const char *file, bool keep_case, struct err *err)
{
    struct users *u = users_none();
    u->keep_case = keep_case;
    if (users_read_file(file, &u->text, err) == 0 && parse(u, file, err) == 0)
        return u;
    users_unref(u);
    return NULL;
}

struct users *users_ref(struct users *u)
{
    atomic_fetch_add(&u->refs, 1);
    return u;
}

void users_unref(struct users *u)
{
    if (!u || atomic_fetch_sub(&u->refs, 1) != 1)
        return;
    password_examples_free(u->examples);
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

bool users_find(const struct users *u, struct span name, struct span *ret_secrets,
                bool *ret_disabled)
{
    const char *found = map_get(&u->by_name, name);
    if (!found)
        return false;
    struct span secrets = span_str(found);
    *ret_disabled = password_disabled(secrets);
    *ret_secrets = span_skip(secrets, *ret_disabled);
    return true;
}

bool users_check(const struct users *u, struct span name, struct span password)
{
    struct span secrets = SPAN_EMPTY;
    bool disabled, found = users_find(u, name, &secrets, &disabled);
    return password_examples_check(u->examples, name, secrets, password) && found;
}

bool users_all_scram(const struct users *u)
{
    size_t pos = 0;
    struct span name;
    void *value;
    while (map_next(&u->by_name, &pos, &name, &value)) {
        struct span secrets;
        bool disabled;
        if (!users_find(u, name, &secrets, &disabled) || disabled || span_eq(secrets, SPAN("*")))
            continue;
        if (!password_has_scram(secrets))
            return false;
    }
    return true;
}
