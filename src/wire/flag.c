#include "wire/flag.h"

uint32_t wire_flag_bit(struct span name)
{
    static const struct {
        struct span name;
        uint32_t bit;
    } flags[] = {
        {{"\\Seen", 5}, WIRE_FLAG_SEEN},       {{"\\Deleted", 8}, WIRE_FLAG_DELETED},
        {{"\\Flagged", 8}, WIRE_FLAG_FLAGGED}, {{"\\Answered", 9}, WIRE_FLAG_ANSWERED},
        {{"\\Draft", 6}, WIRE_FLAG_DRAFT},     {{"\\Recent", 7}, WIRE_FLAG_RECENT},
    };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (span_ieq(name, flags[i].name))
            return flags[i].bit;
    return 0;
}
