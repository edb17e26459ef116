"use strict";
// Text of strangers (labels, file names) goes through textContent only.

const PAGE = 50;
const byId = name => document.getElementById(name);
let labels = [], clips = [], shown = PAGE;

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const changed = clip => clip.left_out || clip.labels.join(";") !== clip.was.join(";") || clip.nothing !== clip.was_nothing;
const known = clip => clip.was.length || clip.was_nothing;
const wanted = clip => !byId("doubtful").checked || clip.right === false || !known(clip) || changed(clip) || clip.problem;

async function correct(clip, chosen, leftOut, nothing) {
  byId("problem").textContent = "";
  try {
    const answer = await fetch("label", {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify({clip: clip.clip, labels: chosen, left_out: leftOut, nothing: nothing}),
    });
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.error);
    clips[clip.clip] = value;
    byId("clip" + clip.clip).replaceWith(article(value));
    state();
  } catch (error) {
    byId("problem").textContent = "not saved: " + error.message;
  }
}

function choice(clip, label) {
  const button = element("button", label);
  const has = clip.labels.includes(label) && !clip.left_out;
  button.setAttribute("aria-pressed", has);
  button.onclick = () => {
    let chosen = [label], nothing = false;
    if (byId("several").checked && !clip.left_out) {
      chosen = has ? clip.labels.filter(other => other !== label) : [...clip.labels, label];
    } else if (has && !clip.was.length) {
      chosen = [];
      nothing = clip.was_nothing;
    }
    correct(clip, chosen, false, nothing);
  };
  return button;
}

function article(clip) {
  const made = element("article", undefined, clip.left_out ? "out" : "");
  made.id = "clip" + clip.clip;
  const heard = element("div", undefined, "heard"), told = element("div");
  if (clip.problem) {
    heard.append(element("p", clip.problem, "bad"));
  } else {
    const picture = element("img"), sound = element("audio");
    picture.alt = "spectrogram of " + clip.name;
    picture.loading = "lazy";
    picture.src = "picture/" + clip.clip;
    sound.controls = true;
    sound.preload = "none";
    sound.src = "sound/" + clip.clip;
    heard.append(picture, sound);
  }
  told.append(element("div", clip.name), element("div", clip.fold ? "fold " + clip.fold : "no label yet", "note"));
  const said = clip.said === null ? "unknown" : clip.said;
  const how = clip.right === null ? "note" : clip.right ? "good" : "bad";
  if (!clip.problem) told.append(element("div", "the network says " + said, how));
  told.append(element("div", clip.scores.slice(0, 4).map(([label, score]) => `${label} ${score.toFixed(2)}`).join(", "), "note"));
  const was = clip.was.join(";") || (clip.was_nothing ? "none of them" : "without a label");
  if (changed(clip)) told.append(element("div", "was " + was, "changed"));
  const choices = element("div");
  labels.forEach(label => choices.append(choice(clip, label)));
  const none = element("button", "none of them");
  none.setAttribute("aria-pressed", clip.nothing && !clip.left_out);
  none.onclick = () => {
    const back = clip.nothing && !clip.left_out && !clip.was_nothing;
    correct(clip, back ? clip.was : [], false, !back);
  };
  const out = element("button", "leave out");
  out.setAttribute("aria-pressed", clip.left_out);
  out.onclick = () => correct(
    clip, clip.left_out ? clip.was : clip.labels, !clip.left_out, clip.left_out ? clip.was_nothing : clip.nothing);
  choices.append(none);
  if (known(clip)) choices.append(out);
  told.append(choices);
  made.append(heard, told);
  return made;
}

function state() {
  const count = clips.filter(changed).length, wrong = clips.filter(clip => clip.right === false).length;
  byId("state").textContent = `${clips.length} clips, ${wrong} that the network gets wrong, ${count} changed`;
}

function draw() {
  const found = clips.filter(wanted);
  byId("clips").replaceChildren(...found.slice(0, shown).map(article));
  byId("more").hidden = found.length <= shown;
  state();
}

byId("more").onclick = () => { shown += PAGE; draw(); };
byId("doubtful").onchange = () => { shown = PAGE; draw(); };
fetch("clips.json").then(answer => answer.json()).then(value => {
  labels = value.labels;
  clips = value.clips;
  byId("title").textContent = `${value.directory}, heard by ${value.bundle}`;
  draw();
}).catch(error => { byId("problem").textContent = error.message; });
