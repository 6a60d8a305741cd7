// SPDX-License-Identifier: Apache-2.0
/*
 * The names by which the session manager has activated sessions (rule_ids of
 * ActivateFlows), in memory only. Each name is there once, each session has a
 * list of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "desired/base_names.h"

/* --- memory ------------------------------------------------------------------------ */

static struct sl_base_name *word_take(struct sl_base_names *names, const char *text)
{
	size_t size = strlen(text) + 1;
	struct sl_base_name *word;

	HASH_FIND_STR(names->words, text, word);
	if (!word) {
		word = calloc(1, sizeof(*word) + size);
		if (!word)
			return NULL;
		memcpy(word->text, text, size);
		HASH_ADD_STR(names->words, text, word);
	}
	word->references++;
	return word;
}

static void word_drop(struct sl_base_names *names, struct sl_base_name *word)
{
	if (--word->references)
		return;
	HASH_DEL(names->words, word);
	free(word->added);
	free(word->removed);
	free(word);
}

static void remove_entry(struct sl_base_names *names, struct sl_named *named, size_t i)
{
	word_drop(names, named->entries[i].word);
	named->entries[i] = named->entries[--named->count];
	names->entries--;
	names->full = false;
}

void sl_named_clear(struct sl_base_names *names, struct sl_named *named)
{
	while (named->count)
		remove_entry(names, named, named->count - 1);
}

void sl_named_collect(struct sl_base_names *names, struct sl_named_subscriber *subscriber)
{
	struct sl_named *named, *tmp;

	LL_FOREACH_SAFE(subscriber->sessions, named, tmp)
	{
		if (named->count)
			continue;
		LL_DELETE(subscriber->sessions, named);
		free(named->entries);
		free(named);
	}
	if (subscriber->sessions)
		return;
	HASH_DEL(names->subscribers, subscriber);
	free(subscriber);
}

static void clear(struct sl_base_names *names)
{
	struct sl_named_subscriber *subscriber, *tmp;
	struct sl_named *named;

	HASH_ITER (hh, names->subscribers, subscriber, tmp) {
		LL_FOREACH (subscriber->sessions, named)
			sl_named_clear(names, named);
		sl_named_collect(names, subscriber);
	}
}

static struct sl_named_subscriber *subscriber_of(const struct sl_base_names *names, const char *imsi)
{
	struct sl_named_subscriber *subscriber;

	HASH_FIND_STR(names->subscribers, imsi, subscriber);
	return subscriber;
}

static struct sl_named *named_of(const struct sl_named_subscriber *subscriber,
				 const struct sl_address *address)
{
	struct sl_named *named;

	LL_FOREACH (subscriber->sessions, named)
		if (sl_address_same_endpoint(&named->address, address))
			break;
	return named;
}

static struct sl_named *named_make(struct sl_base_names *names, const char *imsi,
				   const struct sl_address *address)
{
	struct sl_named_subscriber *subscriber = subscriber_of(names, imsi);
	struct sl_named *named = subscriber ? named_of(subscriber, address) : NULL;

	if (named)
		return named;
	named = calloc(1, sizeof(*named));
	if (!named)
		return NULL;
	if (!subscriber) {
		subscriber = calloc(1, sizeof(*subscriber));
		if (!subscriber) {
			free(named);
			return NULL;
		}
		strcpy(subscriber->imsi, imsi);
		HASH_ADD_STR(names->subscribers, imsi, subscriber);
	}
	named->address = *address;
	LL_PREPEND(subscriber->sessions, named);
	return named;
}

struct sl_base_names *sl_base_names_new(void)
{
	return calloc(1, sizeof(struct sl_base_names));
}

void sl_base_names_free(struct sl_base_names *names)
{
	if (!names)
		return;
	clear(names);
	free(names);
}

/* --- sessions in force ----------------------------------------------------------------- */

struct life {
	const struct sl_address *address;
	uint64_t since_ns;
};

static int find_life(const struct sl_session_view *view, void *user)
{
	struct life *life = user;

	if (!sl_address_same_endpoint(&view->address, life->address))
		return 0;
	life->since_ns = view->record->since_ns;
	return 1;
}

/* When the session at this address began; 0: none is in force. */
static uint64_t life_of(const struct sl_desired *desired, const char *imsi, const struct sl_address *address)
{
	struct life life = {.address = address};

	sl_control_each_session_of(desired->config.control, imsi, find_life, &life);
	return life.since_ns;
}

static void forget_ended_of(struct sl_desired *desired, struct sl_named_subscriber *subscriber)
{
	struct sl_named *named;

	LL_FOREACH (subscriber->sessions, named)
		if (life_of(desired, subscriber->imsi, &named->address) != named->since_ns)
			sl_named_clear(desired->base_names, named);
	sl_named_collect(desired->base_names, subscriber);
}

/* --- what the session manager says ------------------------------------------------------ */

static bool has_entry(const struct sl_named *named, const struct sl_base_name *word,
		      enum sluice_origin origin)
{
	for (size_t i = 0; i < named->count; i++)
		if (named->entries[i].word == word && named->entries[i].origin == origin)
			return true;
	return false;
}

static bool has_room(struct sl_desired *desired, const struct sl_named *named)
{
	struct sl_base_names *names = desired->base_names;

	if (names->entries < SL_DESIRED_BASE_NAMES && named->count < SL_DESIRED_BASE_NAMES_EACH)
		return true;
	if (!names->full)
		sl_log(SL_LOG_WARNING, "base-name-not-followed", "reason", "%s",
		       "too many names of sessions are remembered", NULL);
	names->full = true;
	return false;
}

static int add_entry(struct sl_base_names *names, struct sl_named *named, const char *text,
		     enum sluice_origin origin)
{
	struct sl_base_name *word;

	if (named->count == named->capacity) {
		size_t capacity = named->capacity ? 2 * named->capacity : 4;
		struct sl_naming *grown = reallocarray(named->entries, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		named->entries = grown;
		named->capacity = capacity;
	}
	word = word_take(names, text);
	if (!word)
		return -ENOMEM;
	if (has_entry(named, word, origin)) {
		word_drop(names, word);
		return 0;
	}
	named->entries[named->count++] = (struct sl_naming){word, origin};
	names->entries++;
	return 0;
}

void sl_desired_named(struct sl_desired *desired, const struct sl_session_request *session,
		      enum sluice_origin origin, char *const *texts, size_t count)
{
	uint64_t since_ns = count ? life_of(desired, session->imsi, &session->address) : 0;
	struct sl_base_names *names = desired->base_names;
	const struct sl_rule *const *rules;
	struct sl_named *named;
	int rc = 0;

	if (!since_ns)
		return;
	named = named_make(names, session->imsi, &session->address);
	if (named && named->since_ns != since_ns)
		sl_named_clear(names, named);
	if (named)
		named->since_ns = since_ns;
	for (size_t i = 0; named && rc == 0 && i < count && has_room(desired, named); i++)
		if (sl_catalog_resolve(desired->catalog, texts[i], &rules))
			rc = add_entry(names, named, texts[i], origin);
	if (!named || rc < 0)
		sl_log(SL_LOG_WARNING, "base-name-not-followed", "imsi", "%s", session->imsi, "reason", "%s",
		       "out of memory", NULL);
	if (named)
		sl_named_collect(names, subscriber_of(names, session->imsi));
}

static bool is_among(const char *text, char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(texts[i], text) == 0)
			return true;
	return false;
}

void sl_desired_unnamed(struct sl_desired *desired, const struct sl_deactivation *request, char *const *texts,
			size_t count)
{
	struct sl_base_names *names = desired->base_names;
	struct sl_named_subscriber *subscriber = subscriber_of(names, request->imsi);
	struct sl_named *named;

	if (!subscriber)
		return;
	LL_FOREACH (subscriber->sessions, named) {
		if (request->address.family && !sl_address_same_endpoint(&named->address, &request->address))
			continue;
		for (size_t i = named->count; i-- > 0;) {
			const struct sl_naming *entry = &named->entries[i];

			if (entry->origin == SLUICE_ORIGIN_GX ? !request->gx : !request->gy)
				continue;
			if (!request->rule_ids || is_among(entry->word->text, texts, count))
				remove_entry(names, named, i);
		}
	}
	forget_ended_of(desired, subscriber);
}

void sl_base_names_forget(struct sl_desired *desired)
{
	clear(desired->base_names);
}
