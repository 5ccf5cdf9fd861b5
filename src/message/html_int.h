/* message/html_int.h: between html_token.c, which finds tags and text, and html_text.c, which knows
 * what they mean. Private to src/message. */
#ifndef MESSAGE_HTML_INT_H
#define MESSAGE_HTML_INT_H

#include "base/buf.h"
#include "message/html_text.h"

enum {
    HTML_NAME_MAX = 16,    /* of a tag; longer names are nothing that matters */
    HTML_VALUE_MAX = 2048, /* of an attribute; longer values count as absent */
    HTML_ENTITY_MAX = 20,
    HTML_DEPTH = 128, /* open elements that are known; deeper ones have no effect */
    HTML_ATTRIBUTES = 4,
};

enum html_state {
    HTML_TEXT,
    HTML_ENTITY,
    HTML_LT,       /* "<" */
    HTML_LT_SLASH, /* "</" */
    HTML_TAG_NAME,
    HTML_BEFORE_NAME, /* of an attribute */
    HTML_ATTR_NAME,
    HTML_AFTER_NAME,
    HTML_BEFORE_VALUE,
    HTML_VALUE,  /* until the quote */
    HTML_MARKUP, /* "<!" */
    HTML_COMMENT,
    HTML_BOGUS, /* until ">" */
    HTML_RAW,   /* inside of script, style, ... */
    HTML_RAW_END,
};

/* The attributes that are looked at; "hidden" counts by being there. */
enum html_attribute { HTML_STYLE, HTML_HIDDEN, HTML_HREF, HTML_ALT, HTML_NO_ATTRIBUTE };

struct html_tag {
    char name[HTML_NAME_MAX]; /* lower case */
    uint8_t name_n;           /* HTML_NAME_MAX + 1: longer */
    bool end;
    uint8_t present; /* bits, enum html_attribute */
    struct buf value[HTML_ATTRIBUTES];
};

struct html_tokenizer {
    enum html_state state;
    char quote; /* of the value; 0: none */
    uint8_t dashes;
    bool bang; /* "--!" */
    uint8_t attr_n;
    char attr[8];
    enum html_attribute at;
    char raw[HTML_NAME_MAX]; /* the element whose end ends the raw text */
    uint8_t raw_n, raw_at;
    uint8_t entity_n;
    char entity[HTML_ENTITY_MAX];
    struct html_tag tag;
};

void html_tokenizer_init(struct html_tokenizer *t);
void html_tokenizer_done(struct html_tokenizer *t);
void html_tokenize(struct html_text *h, struct span s, struct buf *out);
void html_tokenize_finish(struct html_text *h, struct buf *out);
/* Entities of an attribute's value become characters. */
void html_decode_value(struct span value, struct buf *out);

/* html_text.c */
struct html_tokenizer *html_tokens(struct html_text *h);
void html_on_text(struct html_text *h, struct span s, struct buf *out); /* no entities */
void html_on_char(struct html_text *h, uint32_t c, struct buf *out);    /* of an entity */
/* True if what follows is raw text, to the end tag of the same name. */
bool html_on_tag(struct html_text *h, const struct html_tag *tag, struct buf *out);

#endif
