#include "wire/chars_int.h"

#define ATOM  (CH_ATOM | CH_ASTRING | CH_LIST | CH_TAG | CH_QUOTED)
#define PLUS  (CH_ATOM | CH_ASTRING | CH_LIST | CH_QUOTED)
#define ALNUM (ATOM | CH_NAME)
#define WILD  (CH_LIST | CH_QUOTED)

/* atom-specials: ( ) { SP CTL % * " \ ] */
const uint8_t char_classes[256] = {
    [0x01 ... 0x09] = CH_QUOTED,
    [0x0b ... 0x0c] = CH_QUOTED,
    [0x0e ... ' '] = CH_QUOTED,
    ['!'] = ATOM,
    ['#'] = ATOM,
    ['$'] = ATOM | CH_NUMSET,
    ['%'] = WILD,
    ['&' ... '\''] = ATOM,
    ['(' ... ')'] = CH_QUOTED,
    ['*'] = WILD | CH_NUMSET,
    ['+'] = PLUS,
    [','] = ATOM | CH_NUMSET,
    ['-'] = ATOM,
    ['.'] = ATOM | CH_NAME,
    ['/'] = ATOM,
    ['0' ... '9'] = ALNUM | CH_NUMSET,
    [':'] = ATOM | CH_NUMSET,
    [';' ... '@'] = ATOM,
    ['A' ... 'Z'] = ALNUM,
    ['['] = ATOM,
    [']'] = CH_ASTRING | CH_LIST | CH_TAG | CH_QUOTED,
    ['^' ... '`'] = ATOM,
    ['a' ... 'z'] = ALNUM,
    ['{'] = CH_QUOTED,
    ['|' ... '~'] = ATOM,
    [0x7f ... 0xff] = CH_QUOTED,
};
