/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when the files of a directory have changed (inotify(7)), once they have
 * been quiet for a moment. The directory is followed by its path: one that is
 * moved away, removed, put back or reached through another link is found again
 * within a second.
 */
#ifndef SL_CATALOG_WATCH_H
#define SL_CATALOG_WATCH_H

#include "base/error.h"

struct event_base;
struct sl_watch;

/*
 * `changed` runs on the event loop, for a change of many files once or a few
 * times. A change of a file that a link in the directory leads to is not seen.
 * -ENOMEM, or the errno of inotify (EMFILE); a directory that is not there is no error.
 */
int sl_watch_new(struct event_base *base, const char *path, void (*changed)(void *user), void *user,
		 struct sl_watch **out, struct sl_error *err);
void sl_watch_free(struct sl_watch *watch);

#endif
