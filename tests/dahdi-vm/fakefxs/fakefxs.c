// SPDX-License-Identifier: GPL-2.0-only
/*
 * fakefxs: a make-believe analog FXS card for DAHDI, for tests only.  See LICENSE.
 *
 * The real DAHDI core drives it, so everything above the card's registers is
 * what a program meets on hardware.  It registers one dahdi_device with one
 * span of `ports` FXS ports, signalled by hooksig as the wctdm family is.
 * With phones=1 a second dahdi_device carries as many FXO ports, wired port by
 * port to the FXS ports: a test opens those and acts as the telephones.
 *
 * /dev/fakefxs: read = state of every port; write = one command:
 *   plug | unplug           the card appears / is pulled out (phones stay)
 *   hook P 0|1              loop contact of port P (1 = off hook)
 *   bounce P MS TIMES       the contact of port P changes so often, MS apart
 *   volt P TIP RING BAT     WCTDM_GET_STATS answers this, mV; "volt P auto" undoes;
 *                           "volt P none" is a driver without it (ENOTTY)
 *   alarm P BITS            channel alarm (0 = none)
 *   spanalarm BITS          span alarm
 *   stall MS                no sample clock for so long: interrupts are lost
 *   event P N [TIMES]       queues raw DAHDI event N on FXS port P, so often at once
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/uaccess.h>
#include <dahdi/kernel.h>
#include <dahdi/wctdm_user.h>

#define MAXP 32
#define STATE_SIZE (2 * PAGE_SIZE)
static int ports = 8;
module_param(ports, int, 0444);
static int phones = 1;
module_param(phones, int, 0444);
MODULE_PARM_DESC(phones, "also register the telephone side as FXO ports");
static int plugged = 1;
module_param(plugged, int, 0444);
MODULE_PARM_DESC(plugged, "card present when the module loads");
static int tick_ms = 1;
module_param(tick_ms, int, 0444);
MODULE_PARM_DESC(tick_ms, "sample clock period; real cards interrupt every 1 ms");
static int alaw;
module_param(alaw, int, 0444);
static int echo;
module_param(echo, int, 0644);
MODULE_PARM_DESC(echo, "hybrid echo towards the card, percent");
static char *variety = "Fake FXS card";
module_param(variety, charp, 0444);

enum { FXS, FXO };

struct board {
	int type;
	struct dahdi_device *ddev;
	struct dahdi_span span;
	struct dahdi_chan *chans[MAXP];
	struct dahdi_chan chan[MAXP];
};

struct port {
	int txsig;		/* FXS port: what the core asserts */
	int fxo_offhook;	/* FXO phone: loop closed */
	int raw_offhook;	/* "hook" command */
	int bounce_ms, bounce_left, bounce_in;
	int rx_seen;		/* last hook state reported on the FXS side */
	int fxo_seen;		/* last state reported on the FXO side */
	int polarity, fixed_volt, no_volt, ohtimer;
	int messages;		/* as last ordered */
	struct wctdm_stats volt;
};

static struct port port[MAXP];
static struct board *card, *phone;
static struct platform_device *card_pdev, *phone_pdev;
static DEFINE_MUTEX(plug_mutex);
static DEFINE_SPINLOCK(board_lock);	/* card/phone pointers against the tick */
static struct hrtimer clk;
static ktime_t clk_start;
static u64 clk_done;
static int stall_ms;

static int offhook(const struct port *p)
{
	return p->fxo_offhook || p->raw_offhook;
}

static int fake_hooksig(struct dahdi_chan *chan, enum dahdi_txsig sig)
{
	struct board *b = chan->pvt;
	struct port *p = &port[chan->chanpos - 1];

	/* called with chan->lock held: only note it, the tick tells the peer */
	if (b->type == FXS) {
		if (p->txsig == DAHDI_TXSIG_START && sig != DAHDI_TXSIG_START)
			p->ohtimer = 6000;	/* as wctdm, OHT_TIMER: caller ID after a ring is heard */
		p->txsig = sig;
	} else {
		p->fxo_offhook = (sig == DAHDI_TXSIG_OFFHOOK || sig == DAHDI_TXSIG_START);
	}
	return 0;
}

static void fake_stats(const struct board *b, const struct port *p, struct wctdm_stats *s)
{
	if (p->fixed_volt) {
		*s = p->volt;
	} else if (b->type == FXO) {
		int v = !card || p->txsig == DAHDI_TXSIG_KEWL ? 0 : offhook(p) ? 8 : 48;
		s->tipvolt = s->ringvolt = s->batvolt = v * 1000;
	} else {	/* registers 80/81/82 of the ProSLIC count 376 mV steps */
		int tip = 7, ring = 128, bat = 136;

		if (p->txsig == DAHDI_TXSIG_KEWL)
			tip = ring = 0;
		else if (offhook(p))
			tip = 22, ring = 42, bat = 64;
		else if (p->txsig == DAHDI_TXSIG_START)
			tip = 62, ring = 190, bat = 250;
		s->tipvolt = tip * -376;
		s->ringvolt = ring * -376;
		s->batvolt = bat * -376;
		if (p->polarity)
			swap(s->tipvolt, s->ringvolt);
	}
}

static int fake_ioctl(struct dahdi_chan *chan, unsigned int cmd, unsigned long data)
{
	struct board *b = chan->pvt;
	struct port *p = &port[chan->chanpos - 1];
	struct wctdm_stats stats;
	int x;

	switch (cmd) {
	case WCTDM_GET_STATS:
		if (p->no_volt)
			return -ENOTTY;
		fake_stats(b, p, &stats);
		return copy_to_user((void __user *)data, &stats, sizeof(stats)) ? -EFAULT : 0;
	case DAHDI_ONHOOKTRANSFER:
		if (b->type != FXS)
			return -EINVAL;
		if (get_user(x, (int __user *)data))
			return -EFAULT;
		p->ohtimer = x;
		return 0;
	case DAHDI_SETPOLARITY:
		if (b->type != FXS || p->txsig == DAHDI_TXSIG_START)
			return -EINVAL;
		if (get_user(x, (int __user *)data))
			return -EFAULT;
		if (!!x != p->polarity && phone)
			dahdi_qevent_lock(&phone->chan[chan->chanpos - 1], DAHDI_EVENT_POLARITY);
		p->polarity = !!x;
		return 0;
	case DAHDI_SET_HWGAIN:	/* as all drivers: done for FXO modules only, and said to be done */
		return 0;
	case DAHDI_VMWI:
		if (get_user(x, (int __user *)data))
			return -EFAULT;
		p->messages = x;
		return 0;
	case DAHDI_VMWI_CONFIG:
		return 0;
	case DAHDI_TONEDETECT:	/* as wctdm24xxp: no DTMF detection in hardware */
		return -ENOSYS;
	}
	return -ENOTTY;
}

static const struct dahdi_span_ops fake_ops = {
	.owner = THIS_MODULE,
	.hooksig = fake_hooksig,
	.ioctl = fake_ioctl,
};

static bool live(struct board *b)
{
	return b && test_bit(DAHDI_FLAGBIT_REGISTERED, &b->span.flags);
}

static void signalling(int i)
{
	struct port *p = &port[i];

	if (live(card)) {
		int rx = offhook(p) ? DAHDI_RXSIG_OFFHOOK : DAHDI_RXSIG_ONHOOK;

		if (rx != p->rx_seen) {
			p->rx_seen = rx;
			dahdi_hooksig(&card->chan[i], rx);
		}
	}
	if (live(phone)) {	/* FXO: ring, battery, no battery */
		int rx = !live(card) || p->txsig == DAHDI_TXSIG_KEWL ? DAHDI_RXSIG_ONHOOK :
			 p->txsig == DAHDI_TXSIG_START && !offhook(p) ? DAHDI_RXSIG_RING :
			 DAHDI_RXSIG_OFFHOOK;

		if (rx != p->fxo_seen) {
			p->fxo_seen = rx;
			dahdi_hooksig(&phone->chan[i], rx);
		}
	}
}

static void chunk(void)
{
	bool c = live(card), f = live(phone);
	int i, n;

	if (c)
		_dahdi_transmit(&card->span);
	if (f)
		_dahdi_transmit(&phone->span);
	for (i = 0; i < ports; i++) {
		struct port *p = &port[i];
		bool talk;

		if (p->bounce_left && !--p->bounce_in) {
			p->raw_offhook = !p->raw_offhook;
			p->bounce_left--;
			p->bounce_in = p->bounce_ms;
		}
		signalling(i);
		if (p->ohtimer)
			p->ohtimer--;
		talk = offhook(p);
		if (c) {
			struct dahdi_chan *a = &card->chan[i];

			if (talk && f)
				memcpy(a->readchunk, phone->chan[i].writechunk, DAHDI_CHUNKSIZE);
			else
				memset(a->readchunk, DAHDI_LIN2X(0, a), DAHDI_CHUNKSIZE);
			if (echo && talk)
				for (n = 0; n < DAHDI_CHUNKSIZE; n++) {
					int s = DAHDI_XLAW(a->readchunk[n], a) +
						DAHDI_XLAW(a->writechunk[n], a) * echo / 100;
					a->readchunk[n] = DAHDI_LIN2X(clamp(s, -32767, 32767), a);
				}
		}
		if (f) {
			struct dahdi_chan *b = &phone->chan[i];

			if (c && (talk || p->ohtimer))
				memcpy(b->readchunk, card->chan[i].writechunk, DAHDI_CHUNKSIZE);
			else
				memset(b->readchunk, DAHDI_LIN2X(0, b), DAHDI_CHUNKSIZE);
		}
	}
	if (c) {
		_dahdi_ec_span(&card->span);
		_dahdi_receive(&card->span);
	}
	if (f)
		_dahdi_receive(&phone->span);
}

static enum hrtimer_restart tick(struct hrtimer *t)
{
	unsigned long flags;
	u64 want;

	spin_lock_irqsave(&board_lock, flags);
	want = ktime_ms_delta(ktime_get(), clk_start);
	if (stall_ms) {		/* the samples of the stalled time are lost */
		u64 lost = min_t(u64, stall_ms, want - clk_done);

		stall_ms -= lost;
		clk_done += lost;
	} else if (want - clk_done > 200) {	/* we were not run: drop, as a card would */
		if (card && card->ddev)
			card->ddev->irqmisses++;
		clk_done = want;
	} else {
		while (clk_done < want) {
			chunk();
			clk_done++;
		}
	}
	spin_unlock_irqrestore(&board_lock, flags);
	hrtimer_forward_now(t, ms_to_ktime(tick_ms));
	return HRTIMER_RESTART;
}

static int board_add(int type)
{
	struct board *b = kzalloc(sizeof(*b), GFP_KERNEL);
	struct platform_device *pdev;
	unsigned long flags;
	int i, ret;

	if (!b)
		return -ENOMEM;
	pdev = platform_device_register_simple(type == FXS ? "fakefxs" : "fakephones", 0, NULL, 0);
	if (IS_ERR(pdev)) {
		kfree(b);
		return PTR_ERR(pdev);
	}
	b->type = type;
	b->ddev = dahdi_create_device();
	b->ddev->manufacturer = "Test";
	b->ddev->devicetype = type == FXS ? variety : "Fake telephones";
	b->ddev->hardware_id = type == FXS ? "fakefxs-0001" : NULL;
	b->ddev->location = type == FXS ? "Fake Bus 01 Slot 01" : "Fake Bus 02 Slot 01";
	snprintf(b->span.name, sizeof(b->span.name), "%s/0", type == FXS ? "FAKEFXS" : "PHONES");
	snprintf(b->span.desc, sizeof(b->span.desc), "%s", b->ddev->devicetype);
	b->span.deflaw = alaw ? DAHDI_LAW_ALAW : DAHDI_LAW_MULAW;
	b->span.spantype = type == FXS ? SPANTYPE_ANALOG_FXS : SPANTYPE_ANALOG_FXO;
	b->span.flags = DAHDI_FLAG_RBS;
	b->span.ops = &fake_ops;
	b->span.cannot_provide_timing = type == FXO;
	b->span.chans = b->chans;
	b->span.channels = ports;
	for (i = 0; i < ports; i++) {
		struct dahdi_chan *c = &b->chan[i];

		b->chans[i] = c;
		snprintf(c->name, sizeof(c->name), "%s/%d", b->span.name, i);
		c->sigcap = type == FXS ?
			DAHDI_SIG_FXOKS | DAHDI_SIG_FXOLS | DAHDI_SIG_FXOGS | DAHDI_SIG_SF |
			DAHDI_SIG_EM | DAHDI_SIG_CLEAR :
			DAHDI_SIG_FXSKS | DAHDI_SIG_FXSLS | DAHDI_SIG_SF | DAHDI_SIG_CLEAR;
		c->chanpos = i + 1;
		c->pvt = b;
		if (type == FXS) {
			port[i].txsig = DAHDI_TXSIG_ONHOOK;
			port[i].rx_seen = -1;
		} else {
			port[i].fxo_seen = -1;
		}
	}
	list_add_tail(&b->span.device_node, &b->ddev->spans);
	ret = dahdi_register_device(b->ddev, &pdev->dev);
	if (ret) {
		dahdi_free_device(b->ddev);
		platform_device_unregister(pdev);
		kfree(b);
		return ret;
	}
	spin_lock_irqsave(&board_lock, flags);
	if (type == FXS)
		card = b, card_pdev = pdev;
	else
		phone = b, phone_pdev = pdev;
	spin_unlock_irqrestore(&board_lock, flags);
	return 0;
}

static void board_del(int type)
{
	struct platform_device *pdev = type == FXS ? card_pdev : phone_pdev;
	struct board *b = type == FXS ? card : phone;
	unsigned long flags;

	if (!b)
		return;
	/* the tick goes on while the core lets the readers go, then stops */
	dahdi_unregister_device(b->ddev);
	spin_lock_irqsave(&board_lock, flags);
	if (type == FXS)
		card = NULL;
	else
		phone = NULL;
	spin_unlock_irqrestore(&board_lock, flags);
	dahdi_free_device(b->ddev);
	platform_device_unregister(pdev);
	msleep(100);	/* see the FIXME about the race in dahdi_chan_unreg() */
	kfree(b);
}

static ssize_t ctl_write(struct file *f, const char __user *ubuf, size_t len, loff_t *off)
{
	int ret = 0, p = 0, a = 0, b = 0, c = 0, n;
	unsigned long flags;
	char buf[80];

	if (len >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, ubuf, len))
		return -EFAULT;
	buf[len] = 0;
	mutex_lock(&plug_mutex);
	if (!strncmp(buf, "plug", 4)) {
		ret = card ? -EEXIST : board_add(FXS);
	} else if (!strncmp(buf, "unplug", 6)) {
		if (card)
			board_del(FXS);
		else
			ret = -ENODEV;
	} else if (sscanf(buf, "stall %d", &a) == 1) {
		spin_lock_irqsave(&board_lock, flags);
		stall_ms = a;
		spin_unlock_irqrestore(&board_lock, flags);
	} else if (sscanf(buf, "spanalarm %i", &a) == 1) {
		if (!card) {
			ret = -ENODEV;
		} else {
			card->span.alarms = a;
			dahdi_alarm_notify(&card->span);
		}
	} else if (sscanf(buf, "%*s %d%n", &p, &n) == 1 && p >= 1 && p <= ports) {
		if (sscanf(buf, "hook %*d %d", &a) == 1)
			port[p - 1].raw_offhook = !!a;
		else if (sscanf(buf, "bounce %*d %d %d", &a, &b) == 2) {
			port[p - 1].bounce_ms = port[p - 1].bounce_in = max(a, 1);
			port[p - 1].bounce_left = b;
		} else if (sscanf(buf, "volt %*d %d %d %d", &a, &b, &c) == 3) {
			port[p - 1].volt = (struct wctdm_stats){ a, b, c };
			port[p - 1].fixed_volt = 1;
			port[p - 1].no_volt = 0;
		} else if (!strncmp(buf, "volt ", 5)) {
			port[p - 1].fixed_volt = 0;
			port[p - 1].no_volt = !!strstr(buf, "none");
		}
		else if (!card)
			ret = -ENODEV;
		else if (sscanf(buf, "alarm %*d %i", &a) == 1)
			dahdi_alarm_channel(&card->chan[p - 1], a);
		else if (sscanf(buf, "event %*d %i %d", &a, &b) >= 1) {
			/* all at once, so that nobody reads in between */
			spin_lock_irqsave(&card->chan[p - 1].lock, flags);
			do {
				dahdi_qevent_nolock(&card->chan[p - 1], a);
			} while (--b > 0);
			spin_unlock_irqrestore(&card->chan[p - 1].lock, flags);
		}
		else
			ret = -EINVAL;
	} else {
		ret = -EINVAL;
	}
	mutex_unlock(&plug_mutex);
	return ret ? ret : len;
}

static ssize_t ctl_read(struct file *f, char __user *ubuf, size_t len, loff_t *off)
{
	static const char *const sig[] = { "idle", "offhook", "ringing", "kewl" };
	char *buf = kzalloc(STATE_SIZE, GFP_KERNEL);
	int i, n = 0;
	ssize_t ret;

	if (!buf)
		return -ENOMEM;
	mutex_lock(&plug_mutex);
	n += scnprintf(buf + n, STATE_SIZE - n, "card %s irqmisses %u\n", card ? "plugged" : "absent",
		       card ? card->ddev->irqmisses : 0);
	for (i = 0; i < ports; i++) {
		struct wctdm_stats s = { 0 };

		if (card)
			fake_stats(card, &port[i], &s);
		n += scnprintf(buf + n, STATE_SIZE - n, "port %d line %s loop %s tip %d ring %d bat %d polarity %d messages %d bouncing %d\n",
			       i + 1, card ? sig[port[i].txsig & 3] : "dead",
			       offhook(&port[i]) ? "offhook" : "onhook", s.tipvolt, s.ringvolt,
			       s.batvolt, port[i].polarity, port[i].messages, port[i].bounce_left);
	}
	mutex_unlock(&plug_mutex);
	ret = simple_read_from_buffer(ubuf, len, off, buf, n);
	kfree(buf);
	return ret;
}

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
	.read = ctl_read,
	.write = ctl_write,
};

static struct miscdevice ctl = { .minor = MISC_DYNAMIC_MINOR, .name = "fakefxs", .fops = &ctl_fops };

static int __init fake_init(void)
{
	int ret;

	ports = clamp(ports, 1, MAXP);
	tick_ms = clamp(tick_ms, 1, 100);
	ret = misc_register(&ctl);
	if (ret)
		return ret;
	mutex_lock(&plug_mutex);
	if (plugged)
		ret = board_add(FXS);
	if (!ret && phones)
		ret = board_add(FXO);
	if (ret)
		board_del(FXS);
	mutex_unlock(&plug_mutex);
	if (ret) {
		misc_deregister(&ctl);
		return ret;
	}
	clk_start = ktime_get();
	hrtimer_init(&clk, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	clk.function = tick;
	hrtimer_start(&clk, ms_to_ktime(tick_ms), HRTIMER_MODE_REL);
	return 0;
}

static void __exit fake_exit(void)
{
	misc_deregister(&ctl);
	mutex_lock(&plug_mutex);
	board_del(FXS);
	board_del(FXO);
	mutex_unlock(&plug_mutex);
	hrtimer_cancel(&clk);
}

module_init(fake_init);
module_exit(fake_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Fake FXS card for DAHDI (testing)");
