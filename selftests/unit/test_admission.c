// SPDX-License-Identifier: Apache-2.0
/* GBR admission by ARP; 1,000 random sequences against a book that adds up everything anew each time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qos/admission.h"

#define MBIT 1000000ull
#define SIZE 64
#define APNS 3

static struct sl_admission *open_book(uint32_t size, uint64_t uplink, uint64_t downlink)
{
	const uint64_t capacity[] = {uplink, downlink};
	const uint64_t unlimited[] = {SL_ADMISSION_UNLIMITED, SL_ADMISSION_UNLIMITED};
	struct sl_admission *admission = NULL;

	assert_int_equal(sl_admission_new(size, &admission), 0);
	assert_int_equal(sl_admission_set_capacity(admission, SL_ADMISSION_LINK, capacity, NULL), 0);
	for (uint32_t apn = 0; apn < APNS; apn++)
		assert_int_equal(sl_admission_set_capacity(admission, apn, unlimited, NULL), 0);
	return admission;
}

static struct sl_admission_request ask(uint64_t owner, uint64_t gbr, uint8_t level)
{
	return (struct sl_admission_request){.owner = owner,
					     .gbr = {gbr, gbr},
					     .apn = SL_ADMISSION_LINK,
					     .level = level,
					     .may_preempt = true,
					     .may_be_preempted = true};
}

static struct sl_admission_answer admit(struct sl_admission *admission, struct sl_admission_request request)
{
	struct sl_admission_answer answer;

	assert_int_equal(sl_admission_admit(admission, &request, &answer, NULL), 0);
	return answer;
}

static void what_fits_is_accepted_and_the_next_bit_is_refused_with_what_is_short(void **state)
{
	struct sl_admission *admission = open_book(SIZE, 10 * MBIT, 20 * MBIT);
	struct sl_admission_request request = ask(1, 10 * MBIT, 5);
	struct sl_admission_answer answer;

	(void)state;
	assert_int_equal(admit(admission, request).verdict, SL_ADMISSION_ACCEPTED);
	request.level = 5;
	request.gbr[SLUICE_UPLINK] = 1;
	answer = admit(admission, request);
	assert_int_equal(answer.verdict, SL_ADMISSION_REFUSED);
	assert_int_equal(answer.short_apn, SL_ADMISSION_LINK);
	assert_int_equal(answer.short_direction, SLUICE_UPLINK);
	assert_int_equal(answer.short_by, 1);
	request.gbr[SLUICE_UPLINK] = 0;
	assert_int_equal(admit(admission, request).verdict, SL_ADMISSION_ACCEPTED);
	sl_admission_free(admission);
}

static void the_worst_level_gives_way_first_and_of_a_level_the_newest(void **state)
{
	struct sl_admission *admission = open_book(SIZE, 10 * MBIT, 10 * MBIT);
	struct sl_admission_answer answer;

	(void)state;
	admit(admission, ask(1, 2 * MBIT, 9));
	admit(admission, ask(2, 2 * MBIT, 12));
	admit(admission, ask(3, 2 * MBIT, 12));
	admit(admission, ask(4, 2 * MBIT, 9));
	admit(admission, ask(5, 2 * MBIT, 3));
	answer = admit(admission, ask(6, 5 * MBIT, 5));
	assert_int_equal(answer.verdict, SL_ADMISSION_ACCEPTED);
	assert_int_equal(answer.victims, 3);
	assert_int_equal(answer.victim[0].owner, 3);
	assert_int_equal(answer.victim[1].owner, 2);
	assert_int_equal(answer.victim[2].owner, 4);
	sl_admission_free(admission);
}

static void nobody_gives_way_when_it_would_not_be_enough(void **state)
{
	struct sl_admission *admission = open_book(SIZE, 10 * MBIT, 10 * MBIT);
	struct sl_admission_request fixed = ask(1, 6 * MBIT, 15), poor = ask(2, 4 * MBIT, 14);
	struct sl_admission_load before, after;

	(void)state;
	fixed.may_be_preempted = false;
	admit(admission, fixed);
	admit(admission, poor);
	assert_int_equal(sl_admission_load(admission, SL_ADMISSION_LINK, &before), 0);
	assert_int_equal(admit(admission, ask(3, 5 * MBIT, 1)).verdict, SL_ADMISSION_REFUSED);
	assert_int_equal(sl_admission_load(admission, SL_ADMISSION_LINK, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(before.rules, 2);
	sl_admission_free(admission);
}

static void an_equal_level_does_not_give_way_nor_does_anybody_to_a_rule_that_may_not_preempt(void **state)
{
	struct sl_admission *admission = open_book(SIZE, 10 * MBIT, 10 * MBIT);
	struct sl_admission_request request = ask(2, MBIT, 1);

	(void)state;
	admit(admission, ask(1, 10 * MBIT, 7));
	assert_int_equal(admit(admission, ask(2, MBIT, 7)).verdict, SL_ADMISSION_REFUSED);
	request.may_preempt = false;
	assert_int_equal(admit(admission, request).verdict, SL_ADMISSION_REFUSED);
	assert_int_equal(admit(admission, ask(2, MBIT, 6)).victims, 1);
	sl_admission_free(admission);
}

static void where_an_apn_is_short_only_its_own_rules_give_way(void **state)
{
	const uint64_t capacity[] = {4 * MBIT, 4 * MBIT};
	struct sl_admission *admission = open_book(SIZE, 12 * MBIT, 12 * MBIT);
	struct sl_admission_request other = ask(1, 4 * MBIT, 15), own = ask(2, 4 * MBIT, 10), better;
	struct sl_admission_answer answer;

	(void)state;
	assert_int_equal(sl_admission_set_capacity(admission, 1, capacity, NULL), 0);
	own.apn = 1;
	better = own;
	better.owner = 3;
	better.level = 2;
	admit(admission, other);
	admit(admission, own);
	answer = admit(admission, better);
	assert_int_equal(answer.victims, 1);
	assert_int_equal(answer.victim[0].owner, 2);
	better.owner = 4;
	answer = admit(admission, better);
	assert_int_equal(answer.verdict, SL_ADMISSION_REFUSED);
	assert_int_equal(answer.short_apn, 1);
	assert_int_equal(answer.short_by, 4 * MBIT);
	sl_admission_free(admission);
}

static void a_change_keeps_its_age_and_who_asks_for_no_more_is_not_refused(void **state)
{
	const uint64_t half[] = {5 * MBIT, 5 * MBIT};
	struct sl_admission *admission = open_book(SIZE, 10 * MBIT, 10 * MBIT);
	struct sl_admission_request old = ask(1, 5 * MBIT, 9), more = ask(1, 6 * MBIT, 9),
				    less = ask(1, MBIT, 9);
	struct sl_admission_answer answer;
	uint32_t slot = admit(admission, old).slot;
	uint32_t newer = admit(admission, ask(2, 5 * MBIT, 9)).slot;

	(void)state;
	assert_int_equal(sl_admission_change(admission, slot, &more, &answer, NULL), 0);
	assert_int_equal(answer.verdict, SL_ADMISSION_REFUSED);
	assert_int_equal(sl_admission_set_capacity(admission, SL_ADMISSION_LINK, half, NULL), 0);
	assert_int_equal(sl_admission_change(admission, slot, &less, &answer, NULL), 0);
	assert_int_equal(answer.verdict, SL_ADMISSION_ACCEPTED);
	assert_int_equal(answer.slot, slot);
	/* the one that was changed is still the older */
	answer = admit(admission, ask(3, 4 * MBIT, 1));
	assert_int_equal(answer.victims, 1);
	assert_int_equal(answer.victim[0].slot, newer);
	assert_int_equal(sl_admission_change(admission, SIZE, &less, &answer, NULL), -ENOENT);
	sl_admission_free(admission);
}

static void what_is_taken_back_was_never_decided_and_those_who_gave_way_are_as_old_as_before(void **state)
{
	struct sl_admission *admission = open_book(4, 10 * MBIT, 10 * MBIT);
	struct sl_admission_answer answer;
	struct sl_admission_load load;
	size_t mark;

	(void)state;
	admit(admission, ask(1, 5 * MBIT, 9));
	admit(admission, ask(2, 5 * MBIT, 9));
	sl_admission_begin(admission);
	assert_int_equal(admit(admission, ask(3, 5 * MBIT, 8)).victim[0].owner, 2);
	mark = sl_admission_mark(admission);
	assert_int_equal(admit(admission, ask(4, 5 * MBIT, 7)).verdict, SL_ADMISSION_ACCEPTED);
	sl_admission_rewind(admission, mark);
	assert_int_equal(sl_admission_load(admission, SL_ADMISSION_LINK, &load), 0);
	assert_int_equal(load.rules, 2);
	sl_admission_rewind(admission, 0);
	sl_admission_end(admission);
	/* 2 is the newest still, and 3 and 4 are nowhere */
	answer = admit(admission, ask(5, 10 * MBIT, 1));
	assert_int_equal(answer.victims, 2);
	assert_int_equal(answer.victim[0].owner, 2);
	assert_int_equal(answer.victim[1].owner, 1);
	sl_admission_free(admission);
}

static void nonsense_and_a_full_book_are_refused_by_name(void **state)
{
	struct sl_admission *admission = open_book(1, 10 * MBIT, 10 * MBIT);
	struct sl_admission_request request = ask(1, MBIT, 1);
	struct sl_admission_answer answer = {.slot = 77};
	struct sl_error err;
	uint32_t slot = 77;

	(void)state;
	request.level = 0;
	assert_int_equal(sl_admission_admit(admission, &request, &answer, &err), -EINVAL);
	assert_string_equal(err.text, "arp.priority_level 0: allowed are 1 to 15");
	request.level = 16;
	assert_int_equal(sl_admission_admit(admission, &request, &answer, &err), -EINVAL);
	request = ask(1, 0, 1);
	assert_int_equal(sl_admission_admit(admission, &request, &answer, &err), -EINVAL);
	request = ask(1, SL_ADMISSION_RATE_MAX + 1, 1);
	assert_int_equal(sl_admission_admit(admission, &request, &answer, &err), -EINVAL);
	request = ask(1, MBIT, 1);
	request.apn = SL_ADMISSION_APNS;
	assert_int_equal(sl_admission_admit(admission, &request, &answer, &err), -EINVAL);
	assert_string_equal(err.text, "apn 256: allowed are 0 to 255");
	request = ask(1, 20 * MBIT, 1);
	assert_int_equal(sl_admission_restore(admission, &request, &slot, &err), 0);
	request = ask(2, MBIT, 1);
	assert_int_equal(sl_admission_admit(admission, &request, &answer, &err), -ENOSPC);
	assert_int_equal(sl_admission_restore(admission, &request, &slot, &err), -ENOSPC);
	assert_int_equal(answer.slot, 77);
	assert_int_equal(sl_admission_remove(admission, slot), 0);
	assert_int_equal(sl_admission_remove(admission, slot), -ENOENT);
	assert_int_equal(sl_admission_new(0, &admission), -EINVAL);
	sl_admission_free(admission);
}

/* --- Q12 ---------------------------------------------------------------------- */

/* A list in order of acceptance; whatever is asked is added up from its beginning. */
struct book {
	struct {
		struct sl_admission_request request;
		uint32_t slot;
	} row[SIZE];
	uint32_t rows;
	uint64_t capacity[APNS + 1][SLUICE_DIRECTIONS]; /* the last is the link */
};

static uint64_t random_state = 20240607;

static uint64_t draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static void drop_row(struct book *book, uint32_t row)
{
	memmove(&book->row[row], &book->row[row + 1], (book->rows - row - 1) * sizeof(book->row[0]));
	book->rows--;
}

/* Which of {link uplink, link downlink, APN uplink, APN downlink} are too full with the request in it;
 * `skip`: a row that does not count; `gone`: rows that would have given way. */
static unsigned int too_full(const struct book *book, const struct sl_admission_request *request,
			     uint32_t skip, const bool *gone)
{
	unsigned int full = 0;

	for (int place = 0; place < 4; place++) {
		int direction = place % 2;
		bool apn = place > 1;
		uint64_t sum = request->gbr[direction], room;

		if (!sum || (apn && request->apn == SL_ADMISSION_LINK))
			continue;
		for (uint32_t i = 0; i < book->rows; i++)
			if (i != skip && !gone[i] && (!apn || book->row[i].request.apn == request->apn))
				sum += book->row[i].request.gbr[direction];
		room = book->capacity[apn ? request->apn : APNS][direction];
		if (sum > room)
			full |= 1u << place;
	}
	return full;
}

/* Accepted: the victims' rows in `order`; else false. Row by row the worst candidate that helps. */
static bool decide(const struct book *book, const struct sl_admission_request *request, uint32_t skip,
		   uint32_t *order, uint32_t *count)
{
	bool gone[SIZE] = {false}, passed_over[SIZE] = {false};
	unsigned int full;

	*count = 0;
	while ((full = too_full(book, request, skip, gone))) {
		uint32_t best = SIZE;
		bool helps = false;

		if (!request->may_preempt)
			return false;
		for (uint32_t i = 0; i < book->rows; i++) {
			const struct sl_admission_request *row = &book->row[i].request;

			if (i == skip || gone[i] || passed_over[i] || !row->may_be_preempted ||
			    row->level <= request->level)
				continue;
			if (best == SIZE || row->level >= book->row[best].request.level)
				best = i;
		}
		if (best == SIZE)
			return false;
		for (int place = 0; place < 4; place++)
			if (full >> place & 1 && book->row[best].request.gbr[place % 2] &&
			    (place < 2 || book->row[best].request.apn == request->apn))
				helps = true;
		if (!helps) {
			passed_over[best] = true;
			continue;
		}
		gone[best] = true;
		order[(*count)++] = best;
	}
	return true;
}

static struct sl_admission_request any_request(uint64_t owner)
{
	struct sl_admission_request request = {
		.owner = owner,
		.gbr = {draw(3) ? draw(5) * MBIT : 0, draw(3) ? draw(5) * MBIT : 0},
		.apn = draw(3) ? (uint32_t)draw(APNS) : SL_ADMISSION_LINK,
		.level = (uint8_t)(1 + draw(SL_ADMISSION_LEVELS)),
		.may_preempt = draw(3) != 0,
		.may_be_preempted = draw(4) != 0,
	};

	if (!request.gbr[0] && !request.gbr[1])
		request.gbr[0] = 1 + draw(MBIT);
	return request;
}

/* Both decide; what they say must be the same, and so must the rows that remain. */
static unsigned int compare(struct sl_admission *admission, struct book *book, uint32_t row,
			    const struct sl_admission_request *request)
{
	struct sl_admission_answer answer;
	uint32_t order[SIZE], count;
	bool gone[SIZE] = {false}, none[SIZE] = {false}, no_more = false, accepted;

	if (row != SIZE) {
		const struct sl_admission_request *present = &book->row[row].request;

		no_more = present->apn == request->apn && request->gbr[0] <= present->gbr[0] &&
			  request->gbr[1] <= present->gbr[1];
		assert_int_equal(sl_admission_change(admission, book->row[row].slot, request, &answer, NULL),
				 0);
	} else {
		assert_int_equal(sl_admission_admit(admission, request, &answer, NULL),
				 book->rows == SIZE ? -ENOSPC : 0);
		if (book->rows == SIZE)
			return 0;
	}
	accepted = decide(book, request, row, order, &count);
	if (no_more) {
		accepted = true;
		count = 0;
	}
	assert_int_equal(answer.verdict, accepted ? SL_ADMISSION_ACCEPTED : SL_ADMISSION_REFUSED);
	if (!accepted) {
		unsigned int full = too_full(book, request, row, none);
		unsigned int place = (unsigned int)__builtin_ctz(full);

		assert_int_equal(answer.short_direction, place % 2);
		assert_int_equal(answer.short_apn, place < 2 ? SL_ADMISSION_LINK : request->apn);
		return 1;
	}
	assert_int_equal(answer.victims, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(answer.victim[i].slot, book->row[order[i]].slot);
		assert_int_equal(answer.victim[i].owner, book->row[order[i]].request.owner);
		gone[order[i]] = true;
	}
	if (row != SIZE)
		book->row[row].request = *request;
	for (uint32_t i = book->rows; i-- > 0;)
		if (gone[i])
			drop_row(book, i);
	if (row == SIZE) {
		book->row[book->rows].request = *request;
		book->row[book->rows++].slot = answer.slot;
	}
	return count ? 2 : 0;
}

static void compare_loads(const struct sl_admission *admission, const struct book *book)
{
	for (uint32_t place = 0; place <= APNS; place++) {
		uint64_t sum[SLUICE_DIRECTIONS] = {0};
		struct sl_admission_load load;
		uint32_t rules = 0;

		for (uint32_t i = 0; i < book->rows; i++) {
			if (place != APNS && book->row[i].request.apn != place)
				continue;
			sum[0] += book->row[i].request.gbr[0];
			sum[1] += book->row[i].request.gbr[1];
			rules++;
		}
		assert_int_equal(
			sl_admission_load(admission, place == APNS ? SL_ADMISSION_LINK : place, &load), 0);
		assert_int_equal(load.reserved[0], sum[0]);
		assert_int_equal(load.reserved[1], sum[1]);
		assert_int_equal(load.rules, rules);
	}
}

/* Anything, and then as if it had not been. */
static void try_and_take_back(struct sl_admission *admission, const struct book *book)
{
	size_t mark;

	sl_admission_begin(admission);
	for (uint64_t tries = 1 + draw(6); tries; tries--) {
		struct sl_admission_request request = any_request(tries);
		struct sl_admission_answer answer;
		uint32_t slot = book->rows ? book->row[draw(book->rows)].slot : 0;

		if (book->rows && draw(4) == 0)
			sl_admission_remove(admission, slot);
		else if (book->rows && draw(3) == 0)
			sl_admission_change(admission, slot, &request, &answer, NULL);
		else
			sl_admission_admit(admission, &request, &answer, NULL);
	}
	mark = draw(2) ? sl_admission_mark(admission) / 2 : 0;
	sl_admission_rewind(admission, mark);
	sl_admission_rewind(admission, 0);
	compare_loads(admission, book);
	sl_admission_end(admission);
}

static void q12_a_thousand_random_sequences_are_decided_as_by_adding_up_everything(void **state)
{
	uint32_t decided = 0, refused = 0, preempted = 0;

	(void)state;
	for (uint32_t sequence = 0; sequence < 1000; sequence++) {
		struct sl_admission *admission = open_book(SIZE, 0, 0);
		struct book book = {.rows = 0};

		for (uint64_t step = 0; step < 200; step++) {
			struct sl_admission_request request = any_request(sequence * 1000 + step);
			unsigned int outcome = 0;
			bool open = draw(2) != 0;

			if (draw(10) == 0)
				try_and_take_back(admission, &book);
			if (open)
				sl_admission_begin(admission);
			if (step == 0 || draw(50) == 0) {
				for (uint32_t place = 0; place <= APNS; place++) {
					for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
						book.capacity[place][direction] =
							draw(place == APNS ? 60 : 30) * MBIT;
					assert_int_equal(sl_admission_set_capacity(
								 admission,
								 place == APNS ? SL_ADMISSION_LINK : place,
								 book.capacity[place], NULL),
							 0);
				}
			}
			if (book.rows && draw(8) == 0) {
				uint32_t row = (uint32_t)draw(book.rows);

				assert_int_equal(sl_admission_remove(admission, book.row[row].slot), 0);
				drop_row(&book, row);
			} else {
				decided++;
				outcome =
					compare(admission, &book,
						book.rows && draw(5) == 0 ? (uint32_t)draw(book.rows) : SIZE,
						&request);
			}
			refused += outcome == 1;
			preempted += outcome == 2;
			if (open)
				sl_admission_end(admission);
			compare_loads(admission, &book);
		}
		sl_admission_free(admission);
	}
	assert_true(refused > 10000 && preempted > 10000);
	print_message("Q12: 1,000 sequences, %u decisions, of them %u refused and %u by pre-emption: as the "
		      "model\n",
		      decided, refused, preempted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_accepted_and_the_next_bit_is_refused_with_what_is_short),
		cmocka_unit_test(the_worst_level_gives_way_first_and_of_a_level_the_newest),
		cmocka_unit_test(nobody_gives_way_when_it_would_not_be_enough),
		cmocka_unit_test(
			an_equal_level_does_not_give_way_nor_does_anybody_to_a_rule_that_may_not_preempt),
		cmocka_unit_test(where_an_apn_is_short_only_its_own_rules_give_way),
		cmocka_unit_test(a_change_keeps_its_age_and_who_asks_for_no_more_is_not_refused),
		cmocka_unit_test(
			what_is_taken_back_was_never_decided_and_those_who_gave_way_are_as_old_as_before),
		cmocka_unit_test(nonsense_and_a_full_book_are_refused_by_name),
		cmocka_unit_test(q12_a_thousand_random_sequences_are_decided_as_by_adding_up_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
