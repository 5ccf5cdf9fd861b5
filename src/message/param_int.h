/* message/param_int.h: values with parameters, as in Content-Type. Private to src/message. */
#ifndef MESSAGE_PARAM_INT_H
#define MESSAGE_PARAM_INT_H

#include "base/buf.h"
#include "base/span.h"

#define PARAM_MAX 200 /* of one field; more are ignored */

struct param {
    uint32_t name, name_n, value, value_n; /* in text; unquoted */
    bool decoded;                          /* the value is UTF-8, made by RFC 2231 */
};

struct param_list {
    struct buf text;
    struct param *v;
    size_t n, cap;
    uint32_t main, main_n; /* what stands before the first ";", without comments and white space */
};

void param_list_init(struct param_list *l);
void param_list_done(struct param_list *l);

/* Parses a raw field value, replacing what the list held. RFC 2231 is undone: name*0, name*1* and
 * so on are joined to one parameter "name"; if a piece was encoded, as in name* alone, the value is
 * decoded to UTF-8. It replaces plain parameters of the same name. */
void param_parse(struct param_list *l, struct span value);

static inline struct span param_main(const struct param_list *l)
{
    return span_make(l->text.p + l->main, l->main_n);
}

static inline struct span param_name(const struct param_list *l, size_t i)
{
    return span_make(l->text.p + l->v[i].name, l->v[i].name_n);
}

static inline struct span param_value(const struct param_list *l, size_t i)
{
    return span_make(l->text.p + l->v[i].value, l->v[i].value_n);
}

/* Index of the first parameter of that name, or SIZE_MAX. */
size_t param_find(const struct param_list *l, struct span name);

#endif
