// The page works without this file; with it, comments appear as they are
// written, and writing one does not load the page again.
'use strict';
(() => {
  const list = document.getElementById('comments');
  const empty = document.getElementById('empty');
  const state = document.getElementById('state');
  const error = document.getElementById('error');
  const room = document.querySelector('main');
  const form = document.getElementById('say');
  const shown = 50;

  const element = (name, props, ...children) => {
    const e = Object.assign(document.createElement(name), props);
    e.append(...children); // strings become text, never markup
    return e;
  };
  const clock = (time) => {
    const date = new Date(time.dateTime);
    const today = date.toDateString() === new Date().toDateString();
    time.textContent = date.toLocaleString([], today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' });
  };
  const atEnd = () => room.scrollHeight - room.scrollTop - room.clientHeight < 80;
  const toEnd = () => { room.scrollTop = room.scrollHeight; };

  function show(comment) {
    const id = Number(comment.id);
    const old = [...list.children];
    if (old.some((li) => Number(li.dataset.id) === id)) return;
    const follow = atEnd();
    const time = element('time', { dateTime: comment.created_at });
    clock(time);
    const li = element('li', { className: 'comment new' },
      element('div', { className: 'head' }, element('strong', {}, comment.name), ' ', time));
    li.dataset.id = id;
    li.classList.toggle('mine', list.dataset.me !== '' && comment.name === list.dataset.me);
    if (comment.text) li.append(element('p', {}, comment.text));
    if (comment.image) {
      const image = element('img', { src: comment.image, alt: '', onload: () => { if (follow) toEnd(); } });
      li.append(element('a', { href: comment.image }, image));
    }
    // A comment may arrive after a later one: keep them in order.
    list.insertBefore(li, old.find((other) => Number(other.dataset.id) > id) || null);
    while (list.children.length > shown) list.firstElementChild.remove();
    empty.hidden = true;
    if (follow) toEnd();
  }

  async function load() {
    const answer = await fetch('/comment');
    if (answer.ok) (await answer.json()).forEach(show);
  }

  function listen() {
    const stream = new EventSource('/events');
    stream.onopen = () => {
      state.textContent = '';
      load().catch(() => {}); // what came between the page, or a lost stream, and this one
    };
    stream.onmessage = (event) => show(JSON.parse(event.data));
    stream.onerror = () => {
      state.textContent = 'reconnecting…';
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000); // an error answer: it does not try again by itself
    };
  }

  const complain = (text) => { error.textContent = text; error.hidden = !text; };

  if (form) {
    const text = form.elements.text;
    const file = form.elements.image;
    const chosen = document.getElementById('chosen');
    const choice = () => {
      chosen.hidden = !file.files.length;
      chosen.textContent = file.files.length ? `with ${file.files[0].name}` : '';
    };
    file.addEventListener('change', choice);
    text.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { // not while an input method composes
        event.preventDefault();
        form.requestSubmit();
      }
    });
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (!text.value.trim() && !file.files.length) return;
      const button = form.querySelector('button');
      button.disabled = true;
      try {
        const answer = await fetch('/comment', { method: 'POST', body: new FormData(form), headers: { Accept: 'application/json' } });
        if (answer.status === 401) return void location.assign('/signin');
        if (!answer.ok) return void complain((await answer.json().catch(() => ({}))).error || 'That did not work. Try again.');
        form.reset();
        choice();
        complain('');
        toEnd();
      } catch {
        complain('The chat cannot be reached. Try again.');
      } finally {
        button.disabled = false;
        text.focus();
      }
    });
  }

  document.querySelectorAll('time').forEach(clock);
  toEnd();
  listen();
})();
