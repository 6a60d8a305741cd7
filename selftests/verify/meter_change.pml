/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sl_meter_change against packets in bpf/meter.h: the rate of a meter is changed
 * while packets are anywhere on their way, among them one that has read the old rate.
 *
 * Proved over all orders of steps: what is outstanding after the change is never more
 * than the new rate allows, so that a packet charged at a slow old rate cannot shut
 * the meter for long; and of what is written after it no more than B + R * t of
 * the new rate passes.
 *
 * One thing is left out: that the agent writes by chance the very value that a packet has
 * read before others changed it. With 2^-10 ns that is possible and harmless (one packet
 * is charged at the old rate); with the few units here it would be everywhere. So a
 * value that the agent wrote over another is told apart by `mark`.
 *
 *   -DRATE_FIRST   packets read the rate before `tat`: must be found wrong
 *   -DNO_MARK      a change leaves `tat` as it is where that needs no other value: likewise
 */
#define HORIZON 3
#define MOST	2

/* a rate: what a byte takes, and the tolerance; one word, written at once */
#define SLOW_COST      4
#define SLOW_TOLERANCE 6
#define FAST_COST      1
#define FAST_TOLERANCE 3

#define larger(a, b)	    ((a) > (b) -> (a) : (b))
#define smaller(a, b)	    ((a) < (b) -> (a) : (b))
#define ahead_of(seen, now) (larger(seen, now) - (now))
#define cost(fast)	    ((fast) -> FAST_COST : SLOW_COST)
#define tolerance(fast)	    ((fast) -> FAST_TOLERANCE : SLOW_TOLERANCE)

byte clock = 1, tat = 0;
bool fast, changed = false;
bool mark = false;
byte after_change = 0, first = 255, last = 0; /* bytes passed since, and the clocks of their packets */

proctype packet(byte size)
{
	byte now, before, next;
	bool rate, taken, seen_mark;

	now = clock;
	do
	:: taken -> break
	:: else ->
#ifdef RATE_FIRST
		rate = fast;
		atomic {
			before = tat;
			seen_mark = mark
		}
#else
		atomic {
			before = tat;
			seen_mark = mark
		}
		rate = fast;
#endif
		atomic {
			if
			:: ahead_of(before, now) + size * cost(rate) > tolerance(rate) && before > now -> goto refused
			:: else -> next = larger(before, now) + size * cost(rate)
			fi
		}
		atomic {
			if
			:: tat == before && mark == seen_mark ->
				tat = next;
				taken = true;
				if
				:: changed ->
					assert(tat - now <= larger(tolerance(fast), MOST * cost(fast)));
					after_change = after_change + size;
					first = smaller(first, now);
					last = larger(last, now);
					assert(after_change * cost(fast) <=
					       larger(tolerance(fast), MOST * cost(fast)) + last - first)
				:: else
				fi
			:: else
			fi
		}
	od;
refused:
	skip
}

proctype change()
{
	byte now, seen, ahead, kept, present, added, next;
	bool done;

	now = clock;
	atomic {
		seen = tat;
		ahead = ahead_of(seen, now);
		if
		:: ahead < tolerance(fast) -> kept = ahead * tolerance(!fast) / tolerance(fast)
		:: else -> kept = tolerance(!fast)
		fi
	}
	fast = !fast;
	do
	:: done -> break
	:: else ->
		atomic {
			seen = tat;
			present = ahead_of(seen, now);
			added = (present > ahead -> present - ahead : 0);
			next = now + smaller(kept + added, tolerance(fast));
#ifdef NO_MARK
			if
			:: seen <= now -> next = seen
			:: else
			fi
#else
			if
			:: next == seen -> next++
			:: else
			fi
#endif
		}
		atomic {
			if
			:: tat == seen -> mark = (next != seen); tat = next; done = true; changed = true
			:: else
			fi
		}
	od
}

proctype time()
{
end:
	do
	:: clock < HORIZON -> clock++
	od
}

init {
	byte size;

	atomic {
		if
		:: fast = true
		:: fast = false
		fi;
		select(size : 1 .. MOST);
		run packet(size);
		select(size : size .. MOST);
		run packet(size);
		select(size : size .. MOST);
		run packet(size);
		run change();
		run time()
	}
}
