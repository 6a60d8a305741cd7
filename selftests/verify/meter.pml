/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One meter of bpf/meter.h as a model: packets on as many CPUs, every access to
 * memory a step of its own, the clock moving on at any moment, packets held up
 * for any time. What is above the meter refuses whatever it likes, so that this
 * is any meter of any tree.
 *
 * Proved over all orders of steps: no more than B + R * t passes, in whatever
 * interval by the packets' own clocks; and a packet that is alone and conforms
 * is never refused by the meter. A unit of time is what one byte takes.
 *
 * What is not the code's way, to see the proof fail:
 *   -DADD_BACK   what was reserved is subtracted, whoever has written since
 *   -DNO_SWAP    written without comparing
 */
#ifndef PACKETS
#define PACKETS 3
#endif
#ifndef HORIZON
#define HORIZON 3 /* units that the clock goes on */
#endif
#define MOST  3 /* bytes of a packet; where that is more than the tolerance, it is the burst */
#define TRIES 2

#define larger(a, b)	     ((a) > (b) -> (a) : (b))
#define ahead_of(seen, now)  (larger(seen, now) - (now))
/* sluice_meter_conforms */
#define conforms(seen)	     (ahead_of(seen, now) + size <= tolerance || (seen) <= now)

byte clock = 0, tat = 0, tolerance;
byte passed[HORIZON + 1]; /* bytes of packets whose clock said so */
byte busy = 0;		  /* packets on their way: more than one may refuse each other */
bool shared = false;

inline count()
{
	d_step {
		passed[now] = passed[now] + size;
		for (from : 0 .. HORIZON) {
			sum = 0;
			for (to : from .. HORIZON) {
				sum = sum + passed[to];
				assert(sum <= larger(tolerance, MOST) + to - from)
			}
		}
		from = 0;
		to = 0;
		sum = 0
	}
}

/* meter_take: a read and a compare-and-swap, so many times; result in `taken` */
inline take()
{
	do
	:: atomic { /* the read */
		before = tat;
		if
		:: !conforms(before) -> break
		:: else -> after = larger(before, now) + size
		fi
	   }
	   atomic { /* the swap */
		if
#ifdef NO_SWAP
		:: true -> tat = after; taken = true
#else
		:: tat == before -> tat = after; taken = true
		:: else -> attempt++; assert(shared)
#endif
		fi;
		if
		:: taken || attempt == TRIES -> break
		:: else
		fi
	   }
	od
}

inline take_back()
{
	atomic {
#ifdef ADD_BACK
		tat = tat - size
#else
		if
		:: tat == after -> tat = before
		:: else -> assert(shared)
		fi
#endif
	}
}

proctype packet(byte size)
{
	byte now, attempt, before, after, from, to, sum;
	bool taken;

	atomic {
		now = clock;
		busy++;
		if
		:: busy > 1 -> shared = true
		:: else
		fi
	}
	atomic { /* meter_look */
		if
		:: !conforms(tat) -> goto refused
		:: else
		fi
	}
	take();
	if
	:: !taken
	:: taken -> count()
	:: taken -> take_back() /* something above it refused */
	fi;
refused:
	skip;
	d_step {
		busy--;
		before = 0;
		after = 0;
		now = 0;
		attempt = 0
	}
}

proctype time()
{
end:
	do
	:: clock < HORIZON -> clock++
	od
}

init {
	byte i, size;

	atomic {
		select(size : 1 .. MOST);
		tolerance = size;
		size = 1;
		for (i : 1 .. PACKETS) {
			select(size : size .. MOST); /* in order of size: they are alike otherwise */
			run packet(size)
		}
		run time()
	}
}
