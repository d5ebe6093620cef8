/* What tests use and libev 4.24 does not have: a name since 4.25, and a macro since 4.32. */
#define EV_NOEXCEPT EV_THROW
#define ev_io_modify(w, mask) ((void)((w)->events = ((w)->events & EV__IOFDSET) | (mask)))
