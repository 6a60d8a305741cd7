/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places of keys (ids_place_make in bpf/ids_place.h, agent/datapath/places.c) as a model: packets of one
 * key on several CPUs, a packet of another key, which has the same groups but not the same lock, and the agent, who
 * takes both keys out and frees what was left. Groups have one place each; each access to a tag is a step of
 * its own.
 *
 * Proved over all orders of steps: the key is never in two places at once, no place is given to two keys, and who
 * has found a place never uses it when it is another's.
 *
 * What is not the code's way, to see the proof fail:
 *   -DNO_LOCK      the key is put in without the lock
 *   -DNO_LOOK      what was not found before the lock is not looked for again under it
 *   -DNO_SWAP      a free place is taken without comparing
 *   -DFREE_AT_ONCE the agent frees what it takes out, though a packet may be at it
 */
#define FREE  0
#define TAKEN 1
#define LEFT  2
#define OURS  4
#define OTHER 5

byte tag[2];   /* first and second group of both keys */
byte whose[2]; /* ghost: key that was written there */
bool lock;     /* of our key; the other has its own, and one packet */
byte at[2];    /* ghost: packets that have found the place and are not through */

/* An invariant of all states; a place is a key's as long as its tag says so. */
#define TWICE (tag[0] == OURS && tag[1] == OURS)

inline look(key)
{
	place = 2;
	/* found and in use in one step: what is between them ends by the grace time */
	atomic {
		if
		:: tag[0] == key -> place = 0; at[0]++
		:: else
		fi
	}
	if
	:: place == 2 ->
		atomic {
			if
			:: tag[1] == key -> place = 1; at[1]++
			:: else
			fi
		}
	:: else
	fi
}

inline use(key)
{
	if
	:: place < 2 ->
		assert(whose[place] == key);
		at[place]--
	:: else
	fi
}

inline put(key)
{
	n = 0;
	do
	:: n == 2 -> break
	:: else ->
#ifdef NO_SWAP
		if
		:: tag[n] == FREE ->
			tag[n] = TAKEN;
#else
		took = false;
		atomic {
			if
			:: tag[n] == FREE -> tag[n] = TAKEN; took = true
			:: else
			fi
		}
		if
		:: took ->
#endif
			assert(whose[n] == FREE); /* nobody's, and its state is nobody's */
			whose[n] = key;
			assert(whose[n] == key);
			d_step {
				tag[n] = key;
				assert(!TWICE)
			}
			break
		:: else -> n++
		fi
	od
}

proctype packet()
{
	byte place, n;
	bool took, there;

	look(OURS);
	if
	:: place == 2 ->
#ifndef NO_LOCK
		atomic { !lock -> lock = true }
#endif
		there = false;
#ifndef NO_LOOK
		there = tag[0] == OURS;
		there = there || tag[1] == OURS;
#endif
		if
		:: !there -> put(OURS)
		:: else
		fi;
#ifndef NO_LOCK
		lock = false;
#endif
		look(OURS)
	:: else
	fi;
	use(OURS)
}

proctype other()
{
	byte place, n;
	bool took;

	look(OTHER);
	if
	:: place == 2 -> put(OTHER); look(OTHER)
	:: else
	fi;
	use(OTHER)
}

/* Each place once: taken out, and freed when nobody is at it any more. */
proctype agent()
{
	byte i;

	for (i : 0 .. 1) {
		atomic {
			if
			:: tag[i] >= OURS ->
#ifdef FREE_AT_ONCE
				tag[i] = FREE;
				whose[i] = FREE
#else
				tag[i] = LEFT
#endif
			:: else
			fi
		}
		if
		:: tag[i] == LEFT ->
			at[i] == 0;
			whose[i] = FREE;
			tag[i] = FREE
		:: else
		fi
	}
}

init {
	atomic {
		run packet();
		run packet();
		run packet();
		run other();
		run agent()
	}
}
