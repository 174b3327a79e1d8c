/**
 * The states that one run passed while it calmed down, and when: a small table that is emptied for every run without
 * being touched. It is asked at every step, so it takes and gives numbers only.
 */
export class Trodden {
  private readonly mask: number;
  private readonly turns: Int32Array;
  private readonly highs: Int32Array;
  private readonly lows: Int32Array;
  private readonly moments: Int32Array;
  /** The run that filled a place; others count as free. */
  private readonly runs: Int32Array;
  private run = 0;

  /** @param most states of one run */
  constructor(most: number) {
    const size = 2 ** Math.ceil(Math.log2(most * 2));
    this.mask = size - 1;
    [this.turns, this.highs, this.lows, this.moments, this.runs] = [0, 1, 2, 3, 4].map(() => new Int32Array(size)) as [
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
    ];
  }

  /** A new run begins. */
  forget(): void {
    this.run += 1;
  }
  /** When this run was here before with the same thread in turn; -1 when never, and then `now` is noted. */
  before(turn: number, high: number, low: number, now: number): number {
    let place = (Math.imul(high ^ Math.imul(turn, 0x9e3779b1), 0x85ebca6b) ^ low) & this.mask;
    for (; this.runs[place] === this.run; place = (place + 1) & this.mask)
      if (this.turns[place] === turn && this.highs[place] === high && this.lows[place] === low)
        return this.moments[place] as number;
    this.runs[place] = this.run;
    this.turns[place] = turn;
    this.highs[place] = high;
    this.lows[place] = low;
    this.moments[place] = now;
    return -1;
  }
}
