// How often the deck draws: as often as it can. Where many pages share a processor, what came is drawn
// more rarely and less of it, for what is drawn late is not live.

const OFTEN_MS = 300; // posts come in at most so often
const FLOOD_MS = 500; // and while there are too many to show all
const RARELY_MS = 3_000; // and at least so often
const REST = 4; // times as long as drawing took it rests
const STRAIN_MS = 10_000; // so long it is cautious after a drawing that took too long

export class Pace {
  constructor() {
    this.beganAt = 0;
    this.tookMs = 0; // of late, the longest counts
    this.strainedAt = -STRAIN_MS;
    this.apart = 1; // pages that share a processor do not draw all at once
  }

  begin() {
    this.beganAt = performance.now();
    this.apart = 0.8 + Math.random() * 0.4;
  }

  end() { // all is in the page; the next frame shows it
    if (document.hidden) return; // there is none
    const { beganAt } = this;
    requestAnimationFrame(() => setTimeout(() => {
      this.tookMs = Math.max(performance.now() - beganAt, this.tookMs * 0.7);
      if (this.restMs() > OFTEN_MS) this.strainedAt = performance.now();
    }));
  }

  restMs(least = OFTEN_MS) { return Math.min(Math.max(least, REST * this.tookMs), RARELY_MS); }

  waitMs(isFlood) {
    const restMs = isFlood ? this.apart * this.restMs(FLOOD_MS) : this.restMs();
    return Math.max(0, this.beganAt + restMs - performance.now());
  }

  // How much of what it usually shows a page may show; less than 1: drawing is too slow to slide.
  share() {
    const isStrained = performance.now() - this.strainedAt < STRAIN_MS;
    return Math.min(OFTEN_MS / this.restMs(), isStrained ? 0.9 : 1);
  }
}
