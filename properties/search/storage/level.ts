/**
 * The states of a level, in blocks: a block that has been expanded is used again for the next level, so that a search
 * holds about one level, and nothing is ever copied to make room.
 *
 * Two slots stand in one 32-bit number, so that states are copied and compared two slots at a time.
 */

/** States in a block. */
export const BLOCK = 2048;

export class Block {
  readonly words: Uint16Array;
  /** The same memory, two slots at a time. */
  readonly pairs: Int32Array;
  /** Two lanes of each state's fingerprint, or of the key that stands for it. */
  readonly highs: Int32Array;
  readonly lows: Int32Array;
  /** The id of the way by which each was found; less than zero when that is not known. */
  readonly bys: Int32Array;
  count = 0;

  /** @param width slots of a state, an even number; none when the keys say everything */
  constructor(width: number, room: number = BLOCK) {
    this.pairs = new Int32Array((width / 2) * room);
    this.words = new Uint16Array(this.pairs.buffer);
    this.highs = new Int32Array(room);
    this.lows = new Int32Array(room);
    this.bys = new Int32Array(room);
  }
}

/** Two levels, the one that is expanded and the one that comes of it. */
export class Levels {
  now: Block[] = [];
  next: Block[] = [];
  private readonly spare: Block[] = [];
  private readonly width: number;

  constructor(width: number) {
    this.width = width;
  }

  get bytes(): number {
    return (this.now.length + this.next.length + this.spare.length) * this.blockBytes;
  }
  /** Bytes that `n` states more in the next level may take on top. */
  growth(n: number): number {
    const last = this.next.at(-1);
    const room = (last ? BLOCK - last.count : 0) + this.spare.length * BLOCK;
    return Math.max(0, Math.ceil((n - room) / BLOCK)) * this.blockBytes;
  }
  /** A block of the next level with room for one more. */
  open(): Block {
    const last = this.next.at(-1);
    if (last && last.count < BLOCK) return last;
    const block = this.spare.pop() ?? new Block(this.width);
    block.count = 0;
    this.next.push(block);
    return block;
  }
  /** The oldest block of this level has been expanded. */
  done(): void {
    const block = this.now.shift();
    if (block) this.spare.push(block);
  }
  /** The next level becomes this one. */
  turn(): void {
    this.now = this.next;
    this.next = [];
  }

  private get blockBytes(): number {
    return BLOCK * (this.width * 2 + 12);
  }
}
