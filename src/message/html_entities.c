/* Names of characters in HTML (WHATWG HTML section 13.5): all of HTML 4, and those of HTML 5 that
 * mail has: ASCII signs, spaces, the letters of Latin scripts. */
#include <stdlib.h>

#include "message/html_text.h"

#define BARE 0x80000000u /* also without ";" */

enum { NAME_MAX = 16 };

struct entity {
    char name[NAME_MAX + 1];
    uint32_t c;
};

/* Sorted by strcmp. */
/* clang-format off */
static const struct entity entities[] = {
    {"AElig", 0xC6 | BARE}, {"AMP", 0x26 | BARE}, {"Aacute", 0xC1 | BARE}, {"Abreve", 0x102},
    {"Acirc", 0xC2 | BARE}, {"Agrave", 0xC0 | BARE}, {"Alpha", 0x391}, {"Amacr", 0x100},
    {"Aogon", 0x104}, {"Aring", 0xC5 | BARE}, {"Atilde", 0xC3 | BARE}, {"Auml", 0xC4 | BARE},
    {"Beta", 0x392}, {"COPY", 0xA9 | BARE}, {"Cacute", 0x106}, {"Ccaron", 0x10C},
    {"Ccedil", 0xC7 | BARE}, {"Chi", 0x3A7}, {"Dagger", 0x2021}, {"Dcaron", 0x10E},
    {"Delta", 0x394}, {"Dstrok", 0x110}, {"ETH", 0xD0 | BARE}, {"Eacute", 0xC9 | BARE},
    {"Ecaron", 0x11A}, {"Ecirc", 0xCA | BARE}, {"Egrave", 0xC8 | BARE}, {"Emacr", 0x112},
    {"Eogon", 0x118}, {"Epsilon", 0x395}, {"Eta", 0x397}, {"Euml", 0xCB | BARE},
    {"GT", 0x3E | BARE}, {"Gamma", 0x393}, {"Gbreve", 0x11E}, {"Hat", 0x5E},
    {"Iacute", 0xCD | BARE}, {"Icirc", 0xCE | BARE}, {"Idot", 0x130}, {"Igrave", 0xCC | BARE},
    {"Imacr", 0x12A}, {"Iota", 0x399}, {"Iuml", 0xCF | BARE}, {"Kappa", 0x39A}, {"LT", 0x3C | BARE},
    {"Lambda", 0x39B}, {"Lstrok", 0x141}, {"Mu", 0x39C}, {"Nacute", 0x143}, {"Ncaron", 0x147},
    {"NewLine", 0xA}, {"NoBreak", 0x2060}, {"NonBreakingSpace", 0xA0}, {"Ntilde", 0xD1 | BARE},
    {"Nu", 0x39D}, {"OElig", 0x152}, {"Oacute", 0xD3 | BARE}, {"Ocirc", 0xD4 | BARE},
    {"Odblac", 0x150}, {"Ograve", 0xD2 | BARE}, {"Omacr", 0x14C}, {"Omega", 0x3A9},
    {"Omicron", 0x39F}, {"Oslash", 0xD8 | BARE}, {"Otilde", 0xD5 | BARE}, {"Ouml", 0xD6 | BARE},
    {"Phi", 0x3A6}, {"Pi", 0x3A0}, {"Prime", 0x2033}, {"Psi", 0x3A8}, {"QUOT", 0x22 | BARE},
    {"REG", 0xAE | BARE}, {"Rcaron", 0x158}, {"Rho", 0x3A1}, {"Sacute", 0x15A}, {"Scaron", 0x160},
    {"Scedil", 0x15E}, {"Sigma", 0x3A3}, {"THORN", 0xDE | BARE}, {"TRADE", 0x2122}, {"Tab", 0x9},
    {"Tau", 0x3A4}, {"Tcaron", 0x164}, {"Tcedil", 0x162}, {"Theta", 0x398}, {"Uacute", 0xDA | BARE},
    {"Ucirc", 0xDB | BARE}, {"Udblac", 0x170}, {"Ugrave", 0xD9 | BARE}, {"Umacr", 0x16A},
    {"Upsilon", 0x3A5}, {"Uring", 0x16E}, {"Uuml", 0xDC | BARE}, {"Xi", 0x39E},
    {"Yacute", 0xDD | BARE}, {"Yuml", 0x178}, {"Zacute", 0x179}, {"Zcaron", 0x17D}, {"Zdot", 0x17B},
    {"ZeroWidthSpace", 0x200B}, {"Zeta", 0x396}, {"aacute", 0xE1 | BARE}, {"abreve", 0x103},
    {"acirc", 0xE2 | BARE}, {"acute", 0xB4 | BARE}, {"aelig", 0xE6 | BARE}, {"agrave", 0xE0 | BARE},
    {"alefsym", 0x2135}, {"alpha", 0x3B1}, {"amacr", 0x101}, {"amp", 0x26 | BARE}, {"and", 0x2227},
    {"ang", 0x2220}, {"aogon", 0x105}, {"apos", 0x27}, {"aring", 0xE5 | BARE}, {"ast", 0x2A},
    {"asymp", 0x2248}, {"atilde", 0xE3 | BARE}, {"auml", 0xE4 | BARE}, {"bdquo", 0x201E},
    {"beta", 0x3B2}, {"bigstar", 0x2605}, {"blk14", 0x2591}, {"block", 0x2588}, {"breve", 0x2D8},
    {"brvbar", 0xA6 | BARE}, {"bsol", 0x5C}, {"bull", 0x2022}, {"bullet", 0x2022},
    {"cacute", 0x107}, {"cap", 0x2229}, {"caron", 0x2C7}, {"ccaron", 0x10D},
    {"ccedil", 0xE7 | BARE}, {"cedil", 0xB8 | BARE}, {"cent", 0xA2 | BARE}, {"centerdot", 0xB7},
    {"check", 0x2713}, {"checkmark", 0x2713}, {"chi", 0x3C7}, {"circ", 0x2C6}, {"clubs", 0x2663},
    {"colon", 0x3A}, {"comma", 0x2C}, {"commat", 0x40}, {"cong", 0x2245}, {"copy", 0xA9 | BARE},
    {"copysr", 0x2117}, {"crarr", 0x21B5}, {"cross", 0x2717}, {"cup", 0x222A},
    {"curren", 0xA4 | BARE}, {"dArr", 0x21D3}, {"dagger", 0x2020}, {"darr", 0x2193},
    {"dash", 0x2010}, {"dcaron", 0x10F}, {"deg", 0xB0 | BARE}, {"delta", 0x3B4}, {"diams", 0x2666},
    {"divide", 0xF7 | BARE}, {"dollar", 0x24}, {"dot", 0x2D9}, {"dstrok", 0x111},
    {"eacute", 0xE9 | BARE}, {"ecaron", 0x11B}, {"ecirc", 0xEA | BARE}, {"egrave", 0xE8 | BARE},
    {"emacr", 0x113}, {"empty", 0x2205}, {"emsp", 0x2003}, {"emsp13", 0x2004}, {"emsp14", 0x2005},
    {"ensp", 0x2002}, {"eogon", 0x119}, {"epsilon", 0x3B5}, {"equals", 0x3D}, {"equiv", 0x2261},
    {"eta", 0x3B7}, {"eth", 0xF0 | BARE}, {"euml", 0xEB | BARE}, {"euro", 0x20AC}, {"excl", 0x21},
    {"exist", 0x2203}, {"female", 0x2640}, {"fnof", 0x192}, {"forall", 0x2200},
    {"frac12", 0xBD | BARE}, {"frac13", 0x2153}, {"frac14", 0xBC | BARE}, {"frac15", 0x2155},
    {"frac18", 0x215B}, {"frac23", 0x2154}, {"frac34", 0xBE | BARE}, {"frac38", 0x215C},
    {"frac58", 0x215D}, {"frac78", 0x215E}, {"frasl", 0x2044}, {"gamma", 0x3B3}, {"gbreve", 0x11F},
    {"ge", 0x2265}, {"grave", 0x60}, {"gt", 0x3E | BARE}, {"hArr", 0x21D4}, {"hairsp", 0x200A},
    {"half", 0xBD}, {"harr", 0x2194}, {"hearts", 0x2665}, {"hellip", 0x2026}, {"horbar", 0x2015},
    {"hyphen", 0x2010}, {"iacute", 0xED | BARE}, {"icirc", 0xEE | BARE}, {"iexcl", 0xA1 | BARE},
    {"igrave", 0xEC | BARE}, {"imacr", 0x12B}, {"image", 0x2111}, {"incare", 0x2105},
    {"infin", 0x221E}, {"inodot", 0x131}, {"int", 0x222B}, {"iota", 0x3B9}, {"iquest", 0xBF | BARE},
    {"isin", 0x2208}, {"iuml", 0xEF | BARE}, {"kappa", 0x3BA}, {"lArr", 0x21D0}, {"lambda", 0x3BB},
    {"lang", 0x2329}, {"laquo", 0xAB | BARE}, {"larr", 0x2190}, {"lbrace", 0x7B}, {"lbrack", 0x5B},
    {"lceil", 0x2308}, {"lcub", 0x7B}, {"ldquo", 0x201C}, {"ldquor", 0x201E}, {"le", 0x2264},
    {"lfloor", 0x230A}, {"lowast", 0x2217}, {"lowbar", 0x5F}, {"loz", 0x25CA}, {"lpar", 0x28},
    {"lrm", 0x200E}, {"lsaquo", 0x2039}, {"lsqb", 0x5B}, {"lsquo", 0x2018}, {"lsquor", 0x201A},
    {"lstrok", 0x142}, {"lt", 0x3C | BARE}, {"macr", 0xAF | BARE}, {"male", 0x2642},
    {"mdash", 0x2014}, {"micro", 0xB5 | BARE}, {"middot", 0xB7 | BARE}, {"minus", 0x2212},
    {"mldr", 0x2026}, {"mu", 0x3BC}, {"nabla", 0x2207}, {"nacute", 0x144}, {"nbsp", 0xA0 | BARE},
    {"ncaron", 0x148}, {"ndash", 0x2013}, {"ne", 0x2260}, {"ni", 0x220B}, {"nldr", 0x2025},
    {"not", 0xAC | BARE}, {"notin", 0x2209}, {"nsub", 0x2284}, {"ntilde", 0xF1 | BARE},
    {"nu", 0x3BD}, {"num", 0x23}, {"numero", 0x2116}, {"numsp", 0x2007}, {"oacute", 0xF3 | BARE},
    {"ocirc", 0xF4 | BARE}, {"odblac", 0x151}, {"oelig", 0x153}, {"ogon", 0x2DB},
    {"ograve", 0xF2 | BARE}, {"oline", 0x203E}, {"omacr", 0x14D}, {"omega", 0x3C9},
    {"omicron", 0x3BF}, {"oplus", 0x2295}, {"or", 0x2228}, {"ordf", 0xAA | BARE},
    {"ordm", 0xBA | BARE}, {"oslash", 0xF8 | BARE}, {"otilde", 0xF5 | BARE}, {"otimes", 0x2297},
    {"ouml", 0xF6 | BARE}, {"para", 0xB6 | BARE}, {"part", 0x2202}, {"percnt", 0x25},
    {"period", 0x2E}, {"permil", 0x2030}, {"perp", 0x22A5}, {"phi", 0x3C6}, {"phone", 0x260E},
    {"pi", 0x3C0}, {"piv", 0x3D6}, {"plus", 0x2B}, {"plusmn", 0xB1 | BARE}, {"pound", 0xA3 | BARE},
    {"prime", 0x2032}, {"prod", 0x220F}, {"prop", 0x221D}, {"psi", 0x3C8}, {"puncsp", 0x2008},
    {"quest", 0x3F}, {"quot", 0x22 | BARE}, {"rArr", 0x21D2}, {"radic", 0x221A}, {"rang", 0x232A},
    {"raquo", 0xBB | BARE}, {"rarr", 0x2192}, {"rarrw", 0x219D}, {"rbrace", 0x7D}, {"rbrack", 0x5D},
    {"rcaron", 0x159}, {"rceil", 0x2309}, {"rcub", 0x7D}, {"rdquo", 0x201D}, {"real", 0x211C},
    {"reg", 0xAE | BARE}, {"rfloor", 0x230B}, {"rho", 0x3C1}, {"ring", 0x2DA}, {"rlm", 0x200F},
    {"rpar", 0x29}, {"rsaquo", 0x203A}, {"rsqb", 0x5D}, {"rsquo", 0x2019}, {"rsquor", 0x2019},
    {"sacute", 0x15B}, {"sbquo", 0x201A}, {"scaron", 0x161}, {"scedil", 0x15F}, {"sdot", 0x22C5},
    {"sect", 0xA7 | BARE}, {"semi", 0x3B}, {"shy", 0xAD | BARE}, {"sigma", 0x3C3},
    {"sigmaf", 0x3C2}, {"sim", 0x223C}, {"sol", 0x2F}, {"spades", 0x2660}, {"squ", 0x25A1},
    {"square", 0x25A1}, {"star", 0x2606}, {"starf", 0x2605}, {"sub", 0x2282}, {"sube", 0x2286},
    {"sum", 0x2211}, {"sup", 0x2283}, {"sup1", 0xB9 | BARE}, {"sup2", 0xB2 | BARE},
    {"sup3", 0xB3 | BARE}, {"supe", 0x2287}, {"szlig", 0xDF | BARE}, {"tau", 0x3C4},
    {"tcaron", 0x165}, {"tcedil", 0x163}, {"there4", 0x2234}, {"theta", 0x3B8}, {"thetasym", 0x3D1},
    {"thinsp", 0x2009}, {"thorn", 0xFE | BARE}, {"tilde", 0x2DC}, {"times", 0xD7 | BARE},
    {"trade", 0x2122}, {"uArr", 0x21D1}, {"uacute", 0xFA | BARE}, {"uarr", 0x2191},
    {"ucirc", 0xFB | BARE}, {"udblac", 0x171}, {"ugrave", 0xF9 | BARE}, {"umacr", 0x16B},
    {"uml", 0xA8 | BARE}, {"upsih", 0x3D2}, {"upsilon", 0x3C5}, {"uring", 0x16F},
    {"uuml", 0xFC | BARE}, {"verbar", 0x7C}, {"vert", 0x7C}, {"weierp", 0x2118}, {"xi", 0x3BE},
    {"yacute", 0xFD | BARE}, {"yen", 0xA5 | BARE}, {"yuml", 0xFF | BARE}, {"zacute", 0x17A},
    {"zcaron", 0x17E}, {"zdot", 0x17C}, {"zeta", 0x3B6}, {"zwj", 0x200D}, {"zwnj", 0x200C},
};
/* clang-format on */

/* What 128 to 159 mean as a number, by windows-1252; the others are left as they are. */
static const uint16_t c1_meaning[32] = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178,
};

static int digit_value(unsigned char c, bool hex)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return hex && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "#39", "#x27": what is no character becomes U+FFFD. */
static uint32_t numeric(struct span s)
{
    bool hex = s.n > 1 && (s.p[1] == 'x' || s.p[1] == 'X');
    uint32_t c = 0;
    s = span_skip(s, hex ? 2 : 1);
    if (s.n == 0)
        return 0;
    for (size_t i = 0; i < s.n; i++) {
        int v = digit_value((unsigned char)s.p[i], hex);
        if (v < 0)
            return 0;
        c = MIN(c * (hex ? 16 : 10) + (uint32_t)v, 0x110000u);
    }
    if (c >= 128 && c < 160)
        return c1_meaning[c - 128];
    return c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0xFFFD : c;
}

static int compare(const void *key, const void *row)
{
    return strcmp(key, ((const struct entity *)row)->name);
}

uint32_t html_entity(struct span name, bool *ret_bare)
{
    char key[NAME_MAX + 1];
    *ret_bare = false;
    if (name.n > 0 && name.p[0] == '#') {
        *ret_bare = true;
        return numeric(name);
    }
    if (name.n == 0 || name.n > NAME_MAX)
        return 0;
    memcpy(key, name.p, name.n);
    key[name.n] = '\0';
    const struct entity *e =
        bsearch(key, entities, ARRAY_LEN(entities), sizeof(entities[0]), compare);
    if (!e)
        return 0;
    *ret_bare = e->c & BARE;
    return e->c & ~BARE;
}
