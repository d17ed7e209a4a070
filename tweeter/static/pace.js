// How often the deck draws: as often as it can. Where many pages share a processor, what came is drawn
// more rarely and less of it, for what is drawn late is not live.

const OFTEN_MS = 300; // posts come in at most so often
const RARELY_MS = 3_000; // and at least so often
const REST = 4; // times as long as drawing took it rests
const STRAIN_MS = 10_000; // so long it is cautious after a drawing that took too long

export class Pace {
  constructor() {
    this.beganAt = 0;
    this.tookMs = 0; // of late, the longest counts
    this.strainedAt = -STRAIN_MS;
  }

  begin() { this.beganAt = performance.now(); }

  end() { // all is in the page; the next frame shows it
    if (document.hidden) return; // there is none
    const { beganAt } = this;
    requestAnimationFrame(() => setTimeout(() => {
      this.tookMs = Math.max(performance.now() - beganAt, this.tookMs * 0.7);
      if (this.restMs() > OFTEN_MS) this.strainedAt = performance.now();
    }));
  }

  restMs() { return Math.min(Math.max(OFTEN_MS, REST * this.tookMs), RARELY_MS); }

  waitMs() { return Math.max(40, this.beganAt + this.restMs() - performance.now()); }

  // How much of what it usually shows a page may show; less than 1: drawing is too slow to slide.
  share() {
    const isStrained = performance.now() - this.strainedAt < STRAIN_MS;
    return Math.min(OFTEN_MS / this.restMs(), isStrained ? 0.9 : 1);
  }
}
