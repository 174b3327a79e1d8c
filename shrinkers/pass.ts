/**
 * What a shrink pass is: it looks at the case as it stands and proposes simpler ones. It never decides.
 *
 * Why: the driver alone runs, counts, remembers and accepts, so a wrong pass can waste steps but cannot change the
 * bug, and a new pass is one file. A pass hears whether its proposal was accepted and carries on from where it is;
 * starting again after a success is what makes shrinking quadratic.
 */
import type { Case } from '../model/case.ts';
import type { Booted } from '../model/design.ts';
import type { Blame } from '../properties/property.ts';
import type { Trace } from './trace.ts';

/** What a pass may look at; `now` and what follows from it change when a proposal is accepted. */
export interface Bench {
  /** The simplest case so far: every word of it can be followed, and the last one brings the verdict. */
  readonly now: Case;
  /** The same, word by word, as it was followed. */
  readonly trace: Trace;
  /** The verdict as it stands at the end of `now`. */
  readonly blame: Blame;
  readonly booted: Booted;
  /** Timers only when nothing fair can move. */
  readonly patient: boolean;
}

export interface Pass {
  readonly name: string;
  /** What it tries, in a sentence that begins with a verb. */
  readonly says: string;
  /** Simpler cases; each `yield` answers whether the driver took it. */
  proposals(bench: Bench): Generator<Case, void, boolean>;
}
