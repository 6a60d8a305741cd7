/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit of kind BUCKET (ids_bucket in bpf/ids_limit.h) as a model: packets on as many CPUs, the
 * clock read once a packet, each access to the word a step of its own, the clock moving on at any
 * moment, packets held up for any time. The key's state is of another revision at the start, so
 * that the first packets also renew it (ids_bucket_renew).
 *
 * Proved over all orders of steps: of the packets whose clock lies in whatever interval of t units no
 * more than BURST + t pass. A unit of time is the interval of one packet.
 *
 * What is not the code's way, to see the proof fail:
 *   -DNO_SWAP     written without comparing
 *   -DRENEW_NOW   the word begins anew with the packet's time, which others may come to again
 *   -DRENEW_LATE  the revision is read before the word is: who renewed and passed meanwhile is undone
 */
#ifndef PACKETS
#define PACKETS 4
#endif
#ifndef HORIZON
#define HORIZON 3
#endif
#ifndef BURST
#define BURST 2
#endif
#define TRIES 2
#ifdef RENEW_NOW
#define RENEWED now
#else
#define RENEWED NONE
#endif
#define OLD   99 /* the word of the other revision: a value that this one does not come to */
#define NONE  0
#define BEGIN 1 /* the clock is never NONE */

byte clock = BEGIN, tat = OLD;
bool renewed = false; /* the revision is the rule's */
byte passed[HORIZON + BEGIN + 1];

inline count()
{
	d_step {
		passed[now] = passed[now] + 1;
		for (from : BEGIN .. HORIZON + BEGIN) {
			sum = 0;
			for (to : from .. HORIZON + BEGIN) {
				sum = sum + passed[to];
				assert(sum <= BURST + to - from)
			}
		}
		from = 0;
		to = 0;
		sum = 0
	}
}

inline renew()
{
#ifdef RENEW_LATE
	known = renewed;
	before = tat;
#else
	before = tat;
	known = renewed;
#endif
	if
	:: known
	:: else ->
		atomic {
			if
			:: tat == before -> tat = RENEWED
			:: else
			fi
		}
		renewed = true
	fi;
	before = 0
}

proctype packet()
{
	byte now, attempt, before, after, from, to, sum;
	bool known;

	now = clock;
	renew();
	do
	:: attempt == TRIES -> break /* refused: never beyond the limit */
	:: else ->
		before = tat;
		after = (before > now -> before : now) + 1;
		if
		:: after - now > BURST -> break
		:: else
		fi;
		atomic {
			if
#ifdef NO_SWAP
			:: true -> tat = after; count(); break
#else
			:: tat == before -> tat = after; count(); break
			:: else -> attempt++
#endif
			fi
		}
	od
}

proctype time()
{
end:
	do
	:: clock < HORIZON + BEGIN -> clock++
	od
}

init {
	byte i;

	atomic {
		for (i : 1 .. PACKETS) {
			run packet()
		}
		run time()
	}
}
