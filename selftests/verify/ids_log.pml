/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit of kind EXACT (ids_exact in bpf/ids_limit.h) as a model: packets of one or two segments on as
 * many CPUs, the clock read before the lock is taken, so that they come to the log in any order;
 * the clock moving on at any moment. The log has a time for each of COUNT packets.
 *
 * Proved over all orders of steps: of the packets whose clock lies in whatever interval of the window's
 * length no more than COUNT pass.
 *
 * What is not the code's way, to see the proof fail:
 *   -DNO_LOCK     the log is read and written without it
 *   -DAS_READ     a time is written as it was read, though a later one stands before it
 *   -DONE_MORE    the packet COUNT + 1 before is asked
 */
#ifndef PACKETS
#define PACKETS 4
#endif
#ifndef COUNT
#define COUNT 2
#endif
#ifndef HORIZON
#define HORIZON 5
#endif
#define WINDOW 2
#define NEVER  255

#ifdef ONE_MORE
#define SIZE (COUNT + 1)
#else
#define SIZE COUNT
#endif

byte clock = 0;
byte at[SIZE] = NEVER;
byte next = 0, newest = 0;
bool locked = false;
byte passed[HORIZON + 1];

inline count()
{
	d_step {
		passed[now] = passed[now] + units;
		for (from : 0 .. HORIZON) {
			sum = 0;
			to = from;
			do
			:: to <= HORIZON && to < from + WINDOW -> sum = sum + passed[to]; to++
			:: else -> break
			od;
			assert(sum <= COUNT)
		}
		from = 0;
		to = 0;
		sum = 0
	}
}

proctype packet(byte units)
{
	byte now, last, stamp, from, to, sum;

	now = clock;
#ifndef NO_LOCK
	atomic { !locked -> locked = true }
#endif
	last = at[(next + units - 1) % SIZE];
	if
	:: last == NEVER || (now > last && now - last >= WINDOW) ->
		stamp = now;
#ifndef AS_READ
		if
		:: newest > stamp -> stamp = newest
		:: else
		fi;
#endif
		at[next] = stamp;
		if
		:: units == 2 -> at[(next + 1) % SIZE] = stamp
		:: else
		fi;
		next = (next + units) % SIZE;
		newest = stamp;
		count()
	:: else
	fi;
	locked = false
}

proctype time()
{
end:
	do
	:: clock < HORIZON -> clock++
	od
}

init {
	byte i, units;

	atomic {
		for (i : 1 .. PACKETS) {
			select(units : 1 .. 2);
			run packet(units)
		}
		run time()
	}
}
